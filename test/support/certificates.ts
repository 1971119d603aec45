import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** `ca.pem`, and `server.pem` with `server-key.pem` for 127.0.0.1 or other names, for both sides of a connection. */
export async function makeCertificates(folder: string, names = 'IP:127.0.0.1,DNS:localhost'): Promise<void> {
  const at = (name: string) => join(folder, name);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await execa('openssl', [
    ...['req', '-x509', ...curve, '-days', '2', '-subj', '/CN=zpsend test CA'],
    ...['-keyout', at('ca-key.pem'), '-out', at('ca.pem')],
  ]);
  await execa('openssl', [
    'req',
    ...curve,
    '-subj',
    '/CN=nats',
    '-keyout',
    at('server-key.pem'),
    '-out',
    at('server.csr'),
  ]);
  await writeFile(at('server.ext'), `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  await execa('openssl', [
    ...['x509', '-req', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-CAcreateserial'],
    ...['-days', '2', '-extfile', at('server.ext'), '-out', at('server.pem')],
  ]);
}
