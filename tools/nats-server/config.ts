/** Paths of PEM files; the certificate has to name 127.0.0.1. */
export type TlsFiles = {
  cert: string;
  key: string;
  ca?: string /** Ask clients for a certificate of `ca` too. */;
  verify?: boolean;
};

type ClusterOptions = {
  name: string /** This server's own route port. */;
  port: number /** Route ports of all. */;
  routes: readonly number[];
};

export type ConfigOptions = {
  jetstream?: boolean;
  tls?: TlsFiles;
  cluster?: ClusterOptions;
  /** Additional nats-server configuration, in its own syntax (accounts, permissions, max_payload, leaf nodes, ...). */
  config?: string;
};

// nats-server's syntax has the strings of JSON
const text = (value: string): string => JSON.stringify(value);

/** The configuration file; addresses, client port and store folder are flags, which override it. */
export const configText = ({ tls, cluster, config }: ConfigOptions): string => {
  const blocks: string[] = [];
  if (tls) {
    const ca = tls.ca ? `, ca_file: ${text(tls.ca)}` : '';
    blocks.push(
      `tls { cert_file: ${text(tls.cert)}, key_file: ${text(tls.key)}${ca}, verify: ${tls.verify ?? false} }`,
    );
  }
  if (cluster) {
    const routes = cluster.routes.map((port) => text(`nats://127.0.0.1:${port}`)).join(', ');
    blocks.push(`cluster { name: ${text(cluster.name)}, listen: "127.0.0.1:${cluster.port}", routes: [${routes}] }`);
  }
  return `${[...blocks, config ?? ''].join('\n')}\n`;
};
