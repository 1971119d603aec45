"""A unix datagram socket as systemd listens on: prints each message as one line of JSON."""
import json, socket, sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print('"listening"', flush=True)
while True:
    # what comes along with it (a barrier) is closed, which is its answer
    print(json.dumps(listener.recv(65536).decode()), flush=True)
