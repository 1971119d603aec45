import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { settingRows } from '../../../../lib/settings/effective.ts';

const rowsOf = (yaml: string, env: NodeJS.ProcessEnv = {}) =>
  settingRows({ path: '/etc/zpsend.yaml', value: parse(yaml) ?? {} }, { ZPSEND_HOST: 'smos-01', ...env });
const row = (rows: ReturnType<typeof rowsOf>, key: string) => rows.find((one) => one.key === key);

describe('the effective settings', () => {
  test('name the default, the file or the variable as the source of each value', () => {
    const rows = rowsOf('send: { parallel: 3, store: { maxBytes: 1G } }\nreceive: { maxConcurrent: 2 }', {
      ZPSEND_MAX_CONCURRENT: '9',
      ZPSEND_PATIENCE_SECONDS: '2m',
      ZPSEND_PARALLEL: '',
    });
    expect(row(rows, 'host')).toEqual({ key: 'host', value: 'smos-01', source: 'ZPSEND_HOST' });
    expect(row(rows, 'send.parallel')).toEqual({ key: 'send.parallel', value: 3, source: 'file /etc/zpsend.yaml' });
    expect(row(rows, 'send.store.maxBytes')).toMatchObject({ value: 2 ** 30, source: 'file /etc/zpsend.yaml' });
    expect(row(rows, 'send.store.replicas')).toMatchObject({ value: 3, source: 'default' });
    expect(row(rows, 'receive.maxConcurrent')).toMatchObject({ value: 9, source: 'ZPSEND_MAX_CONCURRENT' });
    expect(row(rows, 'timing.patienceSeconds')).toMatchObject({ value: 120, source: 'ZPSEND_PATIENCE_SECONDS' });
    expect(row(rows, 'receive.bwlimit')).toEqual({ key: 'receive.bwlimit', value: undefined, source: 'default' });
  });

  test('have one row for a whole list, and one for each key once', () => {
    const rows = rowsOf('receive: { allow: [{ from: smos-02, into: tank }] }');
    expect(row(rows, 'receive.allow')).toMatchObject({ value: [{ from: 'smos-02', into: 'tank', conflicts: [] }] });
    expect(row(rows, 'receive.properties.set')).toMatchObject({ value: { readonly: 'on' } });
    const keys = rows.map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).not.toContain('receive');
    expect(keys.filter((key) => key.startsWith('nats'))).toEqual([]);
  });

  test('an empty ZPSEND_ALLOW is the source of an empty list', () => {
    const rows = rowsOf('receive: { allow: [{ from: smos-02, into: tank }] }', { ZPSEND_ALLOW: '' });
    expect(row(rows, 'receive.allow')).toEqual({ key: 'receive.allow', value: [], source: 'ZPSEND_ALLOW' });
  });

  test('of an invalid file are refused', () => {
    expect(() => rowsOf('recieve: {}')).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  });

  test('without a file are the defaults', () => {
    const rows = settingRows(undefined, { ZPSEND_HOST: 'smos-01' });
    expect(new Set(rows.map(({ source }) => source))).toEqual(new Set(['ZPSEND_HOST', 'default']));
  });
});
