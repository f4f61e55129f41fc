/**
 * Draws results as an SVG: for every case a group of bars, one a target, IOPS on the left and p99
 * latency on the right.        fio/run.ts → plot.
 *
 *   case        │ ███████████ 698 k     │ ████ 97
 *               │ ███████ 480 k         │ █████████ 205
 *
 * Bars are scaled within a case: cases differ by a hundredfold, and targets are compared.
 */
import { caseNames } from './results.ts'
import type { Figures, TargetResults } from './results.ts'
import { microseconds, short } from '../statistics.ts'

/** Told apart without colour vision, on white and in grey. */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#000000']
const WIDTH = 960
const NAME_WIDTH = 150
const PANEL_WIDTH = 390
const BAR_WIDTH = 300
const BAR_HEIGHT = 14
const GROUP_GAP = 12
const TOP = 64

type Panel = {
  readonly title: string
  readonly x: number
  readonly value: (figures: Figures) => number
  readonly text: (value: number) => string
}

const PANELS: readonly Panel[] = [
  { title: 'IOPS (longer is better)', x: NAME_WIDTH, value: ({ iops }) => iops, text: short },
  { title: 'p99 latency, µs (shorter is better)', x: NAME_WIDTH + PANEL_WIDTH + 10,
    value: ({ p99Ns }) => p99Ns, text: microseconds },
]

export function plot(targets: readonly TargetResults[], title: string): string {
  const names = caseNames(targets)
  const groupHeight = targets.length * BAR_HEIGHT + GROUP_GAP
  const height = TOP + names.length * groupHeight + 16
  const groups = names.map((name, index) => group(targets, name, TOP + index * groupHeight))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" `
      + `viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    text(16, 20, title, 'font-size="14" font-weight="bold"'),
    ...targets.map(({ label }, index) => legend(label, index)),
    ...PANELS.map((panel) => text(panel.x, TOP - 6, panel.title, 'fill="#555"')),
    ...groups.flat(),
    '</svg>',
  ].join('\n') + '\n'
}

function legend(label: string, index: number): string {
  const x = 16 + index * 130
  return `<rect x="${x}" y="30" width="10" height="10" fill="${colour(index)}"/>`
    + text(x + 15, 39, label)
}

function group(targets: readonly TargetResults[], name: string, top: number): string[] {
  const middle = top + targets.length * BAR_HEIGHT / 2 + 4
  return [
    text(NAME_WIDTH - 8, middle, name, 'text-anchor="end"'),
    ...PANELS.flatMap((panel) => {
      const values = targets.map(({ cases }) => {
        const figures = cases[name]
        return figures === undefined ? NaN : panel.value(figures)
      })
      const most = Math.max(...values.filter(Number.isFinite), 0)
      return values.map((value, index) =>
        bar(panel, value, most, top + index * BAR_HEIGHT, colour(index)))
    }),
  ]
}

function bar(panel: Panel, value: number, most: number, y: number, fill: string): string {
  const known = Number.isFinite(value)
  const width = known && most > 0 ? Math.max(1, BAR_WIDTH * value / most) : 0
  return `<rect x="${panel.x}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" `
    + `fill="${fill}"/>`
    + text(panel.x + width + 4, y + BAR_HEIGHT - 4, known ? panel.text(value) : '–')
}

const colour = (index: number): string => COLOURS[index % COLOURS.length]!

function text(x: number, y: number, content: string, more = ''): string {
  const safe = content.replace(/[&<>]/g, (sign) =>
    ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign]!)
  return `<text x="${x.toFixed(1)}" y="${y}" ${more}>${safe}</text>`
}
