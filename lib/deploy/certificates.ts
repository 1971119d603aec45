import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { ZpsendError } from '../../schemas/errors.ts';

export interface CertifiedServer {
  readonly name: string;
  /** A host name or an IP address. */
  readonly address: string;
}

/** The validity of a CA and of a server's certificate, in days. */
const [caDays, serverDays] = [3650, 825];
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

async function openssl(argv: readonly string[]): Promise<void> {
  const { exitCode, stderr, shortMessage } = await execa('openssl', [...argv], { reject: false, stdin: 'ignore' });
  if (exitCode === 0) return;
  const why = exitCode === undefined ? shortMessage : stderr.trim().split('\n').at(-1);
  throw new ZpsendError('INTERNAL', `openssl ${argv[0]} failed: ${why}`);
}

/** Creates the file with mode 0600 before openssl writes the key into it. */
const keyFile = (path: string): string => {
  writeFileSync(path, '', { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
};

/** Includes `localhost`, because Node's TLS checks that name for a URL with an IP address. */
const namesOf = (address: string): string => (isIP(address) ? `IP:${address},DNS:localhost` : `DNS:${address}`);

async function makeAuthority(ca: string, key: string): Promise<void> {
  const extensions = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign'];
  await openssl([
    ...['req', '-x509', ...curve, '-days', `${caDays}`, '-subj', `/CN=zpsend fleet ${randomBytes(4).toString('hex')}`],
    ...extensions.flatMap((extension) => ['-addext', extension]),
    ...['-keyout', keyFile(key), '-out', ca],
  ]);
}

/** For both sides of a connection, since servers connect to each other. */
async function makeServer(folder: string, server: CertifiedServer, ca: string, caKey: string): Promise<void> {
  const at = (suffix: string) => join(folder, `${server.name}${suffix}`);
  const [request, extensions] = [at('.csr'), at('.ext')];
  try {
    await openssl([
      'req',
      ...curve,
      '-subj',
      `/CN=${server.name}`,
      '-keyout',
      keyFile(at('-key.pem')),
      '-out',
      request,
    ]);
    writeFileSync(
      extensions,
      `subjectAltName=${namesOf(server.address)}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    await openssl([
      ...[
        'x509',
        '-req',
        '-in',
        request,
        '-CA',
        ca,
        '-CAkey',
        caKey,
        '-set_serial',
        `0x${randomBytes(16).toString('hex')}`,
      ],
      ...['-days', `${serverDays}`, '-extfile', extensions, '-out', at('.pem')],
    ]);
  } finally {
    for (const path of [request, extensions]) rmSync(path, { force: true });
  }
}

/**
 * Creates those that do not exist yet: a CA, `ca.pem` with `ca-key.pem`, and for each server `NAME.pem` with `NAME-key.pem`. Keys have
 * mode 0600.
 * @returns the created files
 * @throws ZpsendError INTERNAL if openssl is missing or fails; BAD_REQUEST if the folder cannot be written, or has a CA without its key
 */
export async function makeCertificates(folder: string, servers: readonly CertifiedServer[]): Promise<string[]> {
  const [ca, caKey] = [join(folder, 'ca.pem'), join(folder, 'ca-key.pem')];
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const made: string[] = [];
    if (!existsSync(ca)) {
      await makeAuthority(ca, caKey);
      made.push(ca, caKey);
    } else if (!existsSync(caKey)) {
      throw new ZpsendError(
        'BAD_REQUEST',
        `${ca} exists without ${caKey}, so it cannot sign a certificate: restore the key, or remove ${ca}`,
      );
    }
    for (const server of servers) {
      const paths = ['.pem', '-key.pem'].map((suffix) => join(folder, `${server.name}${suffix}`));
      if (paths.every((path) => existsSync(path))) continue;
      await makeServer(folder, server, ca, caKey);
      made.push(...paths);
    }
    return made;
  } catch (error) {
    if (error instanceof ZpsendError) throw error;
    throw new ZpsendError('BAD_REQUEST', `certificates: ${error instanceof Error ? error.message : error}`);
  }
}
