import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const zedlet = fileURLToPath(new URL('../../../deploy/zed/history_event-zpsend.sh', import.meta.url));
let folder = '';
let said = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-zed-'));
  said = join(folder, 'said');
  nats(`printf '%s\\n' "$@" "url=$NATS_URL" >${said}.tmp && mv ${said}.tmp ${said}`);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A `nats` on PATH that does this. */
function nats(script: string): void {
  writeFileSync(join(folder, 'nats'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'nats'), 0o755);
}

/** Runs it as ZED does: nothing in the environment but what the event says. */
function run(env: NodeJS.ProcessEnv) {
  const began = performance.now();
  const { status } = spawnSync(zedlet, [], {
    env: {
      PATH: [folder, '/usr/bin', '/bin'].join(delimiter),
      ZPSEND_ENV: join(folder, 'env'),
      ZEVENT_HISTORY_INTERNAL_NAME: 'snapshot',
      ...env,
    },
  });
  return { status, ms: performance.now() - began };
}

const heard = () =>
  expect.poll(() => (existsSync(said) ? readFileSync(said, 'utf8').split('\n') : []), { timeout: 10_000 });
async function expectSilence(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(existsSync(said)).toBe(false);
}

describe('the ZEDLET', () => {
  test('publishes the snapshot on the subject of its host', async () => {
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/my data.1:x@a-b_c', ZPSEND_HOST: 'smos-01' }).status).toBe(0);
    await heard().toEqual(['pub', 'zfs.smos-01.event.snapshot.created', 'tank/my data.1:x@a-b_c', 'url=', '']);
  });

  test('takes its host’s name and NATS from the file of the services, and from that file nothing else', async () => {
    writeFileSync(
      join(folder, 'env'),
      `# NATS_URL=no\nNATS_URL="tls://a:4222,tls://b:4222"\nZPSEND_HOST=smos-02\nPATH=/nowhere\n$(touch ${folder}/ran)\nNATS_X$(touch ${folder}/ran)=1`,
    );
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1' }).status).toBe(0);
    await heard().toEqual([
      ...['pub', 'zfs.smos-02.event.snapshot.created', 'tank/a@1'],
      ...['url=tls://a:4222,tls://b:4222', ''],
    ]);
    expect(existsSync(join(folder, 'ran'))).toBe(false);
  });

  test('without a name it is the machine’s, as one token', async () => {
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1' }).status).toBe(0);
    await heard().toContain(`zfs.${hostname().replaceAll('.', '-')}.event.snapshot.created`);
  });

  test.each([
    'tank/a',
    'tank/a@',
    '@a',
    '',
    '-rf@x',
    '/tank/a@1',
    'tank/a@b@c',
    'tank/a@b/c',
    'tank/a/%recv@1',
    'tank/a@$(touch ran)',
    'tank/a@`touch ran`',
    'tank/a@1; touch ran',
    'tank/a@1\ntouch ran',
    'tank/a@"x"',
    "tank/a@'x'",
    'tank/a@{{.Count}}',
    'tank/a@*',
    'tank/ä@1',
  ])('says nothing of %j, which is no name of a snapshot', async (name) => {
    expect(run({ ZEVENT_HISTORY_DSNAME: name, ZPSEND_HOST: 'smos-01' }).status).toBe(0);
    await expectSilence();
    expect(existsSync(join(folder, 'ran'))).toBe(false);
  });

  test.each(['destroy', 'finish receiving', ''])('says nothing of the event %j', async (event) => {
    run({ ZEVENT_HISTORY_INTERNAL_NAME: event, ZEVENT_HISTORY_DSNAME: 'tank/a@1', ZPSEND_HOST: 'smos-01' });
    await expectSilence();
  });

  test.each(['a.b', 'a b', '>', '*'])('a host name %j that is no subject token is refused', async (host) => {
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1', ZPSEND_HOST: host }).status).toBe(1);
    await expectSilence();
  });

  test('a NATS that does not answer holds up nobody', () => {
    nats('sleep 5');
    const { status, ms } = run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1', ZPSEND_HOST: 'smos-01' });
    expect(status).toBe(0);
    expect(ms).toBeLessThan(3000);
  });
});
