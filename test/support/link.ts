import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A TCP link to a server on this machine that a test can cut; it ends with the test. */
export interface Link {
  readonly url: string;
  /** Breaks every connection and takes no new one. */
  cut(): void;
}

/**
 * @param url of the server; the link has its user too
 * @param lateMs how much later the server's answers arrive, in milliseconds
 */
export async function useLink(url: string, lateMs = 0): Promise<Link> {
  const link = new URL(url);
  const port = Number(link.port);
  const sockets = new Set<Socket>();
  let whole = true;
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    if (!whole) near.destroy();
    near.pipe(far);
    if (lateMs === 0) far.pipe(near);
    else far.on('data', (chunk) => setTimeout(() => near.write(chunk), lateMs));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    whole = false;
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  link.port = `${(server.address() as AddressInfo).port}`;
  return { url: link.href, cut };
}
