import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { openIo } from '../../../../cli/output/terminal.ts';

/** Standard output and error that go to the same place, a terminal of so many columns or none. */
function useScreen(columns: number | undefined) {
  const screen = new PassThrough();
  const stream = () => {
    const end = new PassThrough();
    end.on('data', (chunk) => screen.write(chunk));
    return Object.assign(end, columns === undefined ? {} : { isTTY: true, columns }) as unknown as NodeJS.WriteStream;
  };
  return { io: openIo(stream(), stream()), seen: () => String(screen.read() ?? '') };
}

const wiped = (lines: number) => `\x1b[${lines}A\x1b[0J`;

describe('on a terminal', () => {
  it('live lines stay below all others, and are wiped before they are drawn again', () => {
    const { io, seen } = useScreen(80);
    io.live(['one', 'two']);
    expect(seen()).toBe('one\ntwo\n');
    io.err('news');
    expect(seen()).toBe(`${wiped(2)}news\none\ntwo\n`);
    io.live(['three']);
    expect(seen()).toBe(`${wiped(2)}three\n`);
    io.live([]);
    expect(seen()).toBe(wiped(1));
    io.out('result');
    expect(seen()).toBe('result\n');
  });

  it('a live line is cut before it would wrap', () => {
    const { io, seen } = useScreen(30);
    io.live(['x'.repeat(100)]);
    expect(seen()).toBe(`${'x'.repeat(29)}\n`);
  });

  it('a width that is not known is not taken for none', () => {
    const { io, seen } = useScreen(0);
    io.live(['x'.repeat(100)]);
    expect(seen()).toBe(`${'x'.repeat(79)}\n`);
  });
});

describe('piped', () => {
  it('nothing live is written, and nothing that a terminal would obey', () => {
    const { io, seen } = useScreen(undefined);
    io.live(['progress']);
    io.out('name\x1b[2J');
    io.err('news');
    expect(seen()).toBe('name?[2J\nnews\n');
    expect(io.isTerminal).toBe(false);
  });
});
