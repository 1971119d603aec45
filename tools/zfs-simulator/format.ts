const UNITS = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];

/** A size as ZFS prints it without -p: at most five characters, `10.0M`, `24K`, `0B`. */
export function niceBytes(bytes: number): string {
  let unit = 0;
  while (bytes / 1024 ** (unit + 1) >= 1 && unit < UNITS.length - 1) unit++;
  const value = bytes / 1024 ** unit;
  if (unit === 0 || Number.isInteger(value)) return `${value}${UNITS[unit]}`;
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  // ZFS truncates instead of rounding up to four digits
  const text = value.toFixed(digits);
  return `${text.length > 4 ? text.slice(0, 4).replace(/\.$/, '') : text}${UNITS[unit]}`;
}

/** `Mon Nov 23 21:25 2026`, local time. */
export function niceTime(seconds: number): string {
  const [day, month, date, year, clock] = new Date(seconds * 1000).toString().split(' ');
  return `${day} ${month} ${String(Number(date)).padStart(2)} ${clock?.slice(0, 5)} ${year}`;
}

/** Rows under a header, with two spaces between columns; `right` has the right-aligned columns. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number>,
): string {
  const width = header.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, at) => {
          if (right.has(at)) return cell.padStart(width[at] ?? 0);
          return at === row.length - 1 ? cell : cell.padEnd(width[at] ?? 0);
        })
        .join('  '),
    )
    .map((line) => `${line}\n`)
    .join('');
}
