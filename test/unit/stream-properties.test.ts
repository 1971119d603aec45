import { expect, test } from 'vitest';
import { streamProperties } from '../../services/receiver/stream-properties.ts';

const configured = { set: { readonly: 'on' }, exclude: ['atime'] };

test('a receive sets and excludes what the host is configured for', () => {
  expect(streamProperties({}, configured)).toEqual(configured);
});

test('what a chain begins with is set on the dataset that it makes', () => {
  expect(streamProperties({ record: '7:raw' }, configured).set).toEqual({ readonly: 'on', 'zpsend:stream': '7:raw' });
});

test('of properties in the stream, none reaches for paths and shares of this host, unless this host says what they are', () => {
  const { exclude } = streamProperties({ props: true }, configured);
  expect(exclude).toEqual(['atime', 'mountpoint', 'canmount', 'sharenfs', 'sharesmb']);
  const mounted = { set: { mountpoint: '/backup' }, exclude: [] };
  expect(streamProperties({ props: true }, mounted)).toEqual({
    ...mounted,
    exclude: ['canmount', 'sharenfs', 'sharesmb'],
  });
});
