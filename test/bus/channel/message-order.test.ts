import { connect } from '@nats-io/transport-node';
import { expect, onTestFinished, test } from 'vitest';
import { startNatsCluster } from '../../../tools/nats-server/cluster.ts';

/** Words come on a transfer's own subject, and the data of a fan on a shared one: a word must not overtake the data before it. */
const data = 'zfs-data.src._fan.fan001';
const words = 'zfs-data.src.dst.transfer1';
const pairs = 20_000;

const oneAccount = `authorization { users: [{ user: src, password: pw }, { user: dst, password: pw }] }`;
const anAccountEach = `accounts {
  SRC { users: [{ user: src, password: pw }], exports: [{ stream: "zfs-data.src.>" }] }
  DST { users: [{ user: dst, password: pw }], imports: [
    { stream: { account: SRC, subject: "zfs-data.src._fan.>" } }, { stream: { account: SRC, subject: "zfs-data.src.dst.*" } }
  ] }
}`;

test.each([
  ['one account', oneAccount],
  ['an account for each host', anAccountEach],
])('what one connection publishes on two subjects keeps its order from server to server, in %s', async (_, config) => {
  const servers = await startNatsCluster(3, { config });
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  const user = async (name: string, at: number) => {
    const nc = await connect({ servers: servers[at]?.url ?? '', user: name, pass: 'pw' });
    onTestFinished(() => nc.close());
    return nc;
  };
  const [from, to] = [await user('src', 0), await user('dst', 1)];
  const seen: number[] = [];
  let isHeard = false;
  for (const subject of [data, words]) {
    to.subscribe(subject, {
      callback(_error, message) {
        const number = Number(message.string());
        if (number < 0) isHeard = true;
        else seen.push(number);
      },
    });
  }
  await to.flush();
  // until the other server knows of both subscriptions
  for (const subject of [data, words]) {
    isHeard = false;
    await expect
      .poll(async () => {
        from.publish(subject, '-1');
        await from.flush();
        return isHeard;
      })
      .toBe(true);
  }
  for (let pair = 0; pair < pairs; pair += 1) {
    from.publish(data, `${2 * pair}`);
    from.publish(words, `${2 * pair + 1}`);
  }
  await from.flush();
  await expect.poll(() => seen.length, { timeout: 30_000 }).toBe(2 * pairs);
  expect(seen.every((number, at) => number === at)).toBe(true);
});
