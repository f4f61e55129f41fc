/**
 * Values over time as an SVG: one line for each series, with its own scale, all over the same minutes.
 * load.test.ts draws its measurements with it.
 */
export type Series = { readonly name: string; readonly unit: string; readonly values: readonly number[] }

const [WIDTH, HEIGHT, LEFT, GAP] = [760, 120, 110, 34]

/** secondsEach: between two values. */
export function drawing(title: string, secondsEach: number, series: readonly Series[]): string {
  const panels = series.map((each, index) => panel(each, index * (HEIGHT + GAP) + 40))
  const height = series.length * (HEIGHT + GAP) + 70
  const minutes = ((series[0]?.values.length ?? 1) - 1) * secondsEach / 60
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 20}" height="${height}" `
      + 'font-family="sans-serif" font-size="12">',
    '<rect width="100%" height="100%" fill="white"/>',
    `<text x="${LEFT}" y="22" font-size="15">${title}</text>`,
    ...panels,
    `<text x="${LEFT}" y="${height - 12}">0</text>`,
    `<text x="${LEFT + WIDTH}" y="${height - 12}" text-anchor="end">${minutes.toFixed(0)} minutes</text>`,
    '</svg>', '',
  ].join('\n')
}

function panel({ name, unit, values }: Series, top: number): string {
  const most = Math.max(...values, 1e-9)
  const step = WIDTH / Math.max(1, values.length - 1)
  const points = values.map((value, k) =>
    `${(LEFT + k * step).toFixed(1)},${(top + HEIGHT * (1 - value / most)).toFixed(1)}`)
  return [
    `<rect x="${LEFT}" y="${top}" width="${WIDTH}" height="${HEIGHT}" fill="none" stroke="#bbb"/>`,
    `<text x="${LEFT - 8}" y="${top + 12}" text-anchor="end">${round(most)} ${unit}</text>`,
    `<text x="${LEFT - 8}" y="${top + HEIGHT}" text-anchor="end">0</text>`,
    `<text x="${LEFT + 6}" y="${top + HEIGHT - 6}" fill="#666">${name}</text>`,
    `<polyline points="${points.join(' ')}" fill="none" stroke="#06c" stroke-width="1.3"/>`,
  ].join('\n')
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2)
}
