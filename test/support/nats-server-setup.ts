import { findNatsServer } from '../../tools/nats-server/find.ts';

/** Brings the nats-server once, before any worker's clock runs; every worker then finds it by its environment. */
export const setup = async (): Promise<void> => {
  try {
    const { path } = await findNatsServer({ say: (line) => console.error(line) });
    process.env.NATS_SERVER_BIN = path;
  } catch (error) {
    // tests without a bus still run; the others fail with the same words
    console.error(error instanceof Error ? error.message : error);
  }
};
