import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { openIo } from '../../../../cli/output/terminal.ts';

/** Standard output and error on the same terminal, or on a pipe without columns. */
function useScreen(columns: number | undefined, rows = 24) {
  const screen = new PassThrough();
  const stream = () => {
    const end = new PassThrough();
    end.on('data', (chunk) => screen.write(chunk));
    return Object.assign(
      end,
      columns === undefined ? {} : { isTTY: true, columns, rows },
    ) as unknown as NodeJS.WriteStream;
  };
  return { io: openIo(stream(), stream()), seen: () => String(screen.read() ?? '') };
}

const erased = (lines: number) => `\x1b[${lines}A\x1b[0J`;

describe('on a terminal', () => {
  it('live lines stay below all others, and are erased before they are redrawn', () => {
    const { io, seen } = useScreen(80);
    io.live(['one', 'two']);
    expect(seen()).toBe('one\ntwo\n');
    io.err('news');
    expect(seen()).toBe(`${erased(2)}news\none\ntwo\n`);
    io.live(['three']);
    expect(seen()).toBe(`${erased(2)}three\n`);
    io.live([]);
    expect(seen()).toBe(erased(1));
    io.out('result');
    expect(seen()).toBe('result\n');
  });

  it('a live line is cut before it would wrap', () => {
    const { io, seen } = useScreen(30);
    io.live(['x'.repeat(100)]);
    expect(seen()).toBe(`${'x'.repeat(29)}\n`);
  });

  it('live lines do not exceed the screen, since a line above it could not be erased', () => {
    const { io, seen } = useScreen(80, 3);
    io.live(['one', 'two', 'three']);
    expect(seen()).toBe('two\nthree\n');
    io.live([]);
    expect(seen()).toBe(erased(2));
  });

  it('an unknown width is not 0', () => {
    const { io, seen } = useScreen(0);
    io.live(['x'.repeat(100)]);
    expect(seen()).toBe(`${'x'.repeat(79)}\n`);
  });
});

describe('piped', () => {
  it('neither live lines nor control characters are written', () => {
    const { io, seen } = useScreen(undefined);
    io.live(['progress']);
    io.out('name\x1b[2J');
    io.err('news');
    expect(seen()).toBe('name?[2J\nnews\n');
    expect(io.isTerminal).toBe(false);
  });
});
