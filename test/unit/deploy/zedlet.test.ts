import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const zedlet = fileURLToPath(new URL('../../../deploy/zed/history_event-zpsend.sh', import.meta.url));
let folder = '';
let published = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zpsend-zed-'));
  published = join(folder, 'published');
  nats(`printf '%s\\n' "$@" "url=$NATS_URL" >${published}.tmp && mv ${published}.tmp ${published}`);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Puts a `nats` with this script on PATH. */
function nats(script: string): void {
  writeFileSync(join(folder, 'nats'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'nats'), 0o755);
}

/** Runs it as ZED does: only the fields of the event are in the environment. */
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

const expectPublished = () =>
  expect.poll(() => (existsSync(published) ? readFileSync(published, 'utf8').split('\n') : []), { timeout: 10_000 });
async function expectSilence(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(existsSync(published)).toBe(false);
}

describe('the ZEDLET', () => {
  test('publishes the snapshot on the subject of its host', async () => {
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/my data.1:x@a-b_c', ZPSEND_HOST: 'smos-01' }).status).toBe(0);
    await expectPublished().toEqual([
      'pub',
      'zfs.smos-01.event.snapshot.created',
      'tank/my data.1:x@a-b_c',
      'url=',
      '',
    ]);
  });

  test('reads only the host name and the NATS settings from the environment file of the services', async () => {
    writeFileSync(
      join(folder, 'env'),
      `# NATS_URL=no\nNATS_URL="tls://a:4222,tls://b:4222"\nZPSEND_HOST=smos-02\nPATH=/nowhere\n$(touch ${folder}/ran)\nNATS_X$(touch ${folder}/ran)=1`,
    );
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1' }).status).toBe(0);
    await expectPublished().toEqual([
      ...['pub', 'zfs.smos-02.event.snapshot.created', 'tank/a@1'],
      ...['url=tls://a:4222,tls://b:4222', ''],
    ]);
    expect(existsSync(join(folder, 'ran'))).toBe(false);
  });

  test('uses the name of the machine, as one token, if no host name is set', async () => {
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1' }).status).toBe(0);
    await expectPublished().toContain(`zfs.${hostname().replaceAll('.', '-')}.event.snapshot.created`);
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
  ])('publishes nothing for %j, which is not a snapshot name', async (name) => {
    expect(run({ ZEVENT_HISTORY_DSNAME: name, ZPSEND_HOST: 'smos-01' }).status).toBe(0);
    await expectSilence();
    expect(existsSync(join(folder, 'ran'))).toBe(false);
  });

  test.each(['destroy', 'finish receiving', ''])('publishes nothing for the event %j', async (event) => {
    run({ ZEVENT_HISTORY_INTERNAL_NAME: event, ZEVENT_HISTORY_DSNAME: 'tank/a@1', ZPSEND_HOST: 'smos-01' });
    await expectSilence();
  });

  test.each(['a.b', 'a b', '>', '*'])('refuses the host name %j, which is not a subject token', async (host) => {
    expect(run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1', ZPSEND_HOST: host }).status).toBe(1);
    await expectSilence();
  });

  test('does not wait for a NATS server that does not answer', () => {
    nats('sleep 5');
    const { status, ms } = run({ ZEVENT_HISTORY_DSNAME: 'tank/a@1', ZPSEND_HOST: 'smos-01' });
    expect(status).toBe(0);
    expect(ms).toBeLessThan(3000);
  });
});
