/**
 * How bad it is: what a seed makes of the network, the disk and the processors, in per mille of the occasions.
 * world draws it; shim and host-queue ask. calm() is for the end of an epoch, when everything has to come to an end.
 */
import type { Random } from '../random.ts'

const PATIENCE_US = 60_000_000

export class Weather {
  /** A pipe that has bytes stalls. */
  stallPerMille = 0
  stallUs = 0
  /** A reactor, or the control plane, is not given a processor. */
  pausePerMille = 0
  pauseUs = 0
  /** An operation fails. */
  failPerMille = 0
  /** The longest that an operation takes. */
  deviceUs = 300
  /** A host breaks a connection off. */
  resetPerMille = 0
  /** A host is not given a processor, of a million occasions; the longest is longer than its keep alive. */
  hostPausePerMillion = 0
  /** How long a host waits for an answer before it gives the whole association up. */
  patienceUs = PATIENCE_US
  /** One of so many commands is about reservations. */
  reservesOneIn = 1_000_000_000
  /** A reactor dies, of ten million occasions. */
  deathPer10Million = 0

  static of(random: Random): Weather {
    const weather = new Weather()
    if (random.chance(60)) {
      weather.stallPerMille = random.below(4)
      weather.stallUs = random.pick([500, 20_000, 2_000_000])
    }
    if (random.chance(50)) {
      weather.pausePerMille = random.below(4)
      weather.pauseUs = random.pick([1000, 50_000, 3_000_000])
    }
    if (random.chance(40)) weather.failPerMille = 1 + random.below(10)
    weather.deviceUs = random.pick([10, 300, 5000, 400_000])
    if (random.chance(50)) weather.resetPerMille = 1 + random.below(2)
    if (random.chance(30)) weather.hostPausePerMillion = 20
    if (random.chance(25)) weather.patienceUs = weather.deviceUs > 100_000 ? 4_000_000 : random.pick([50_000, 1_000_000])
    if (random.chance(30)) weather.reservesOneIn = random.pick([40, 400])
    if (random.chance(25)) weather.deathPer10Million = random.pick([20, 200])
    return weather
  }

  calm(): void {
    this.stallPerMille = 0
    this.pausePerMille = 0
    this.failPerMille = 0
    this.deviceUs = 300
    this.resetPerMille = 0
    this.hostPausePerMillion = 0
    this.patienceUs = PATIENCE_US
    this.deathPer10Million = 0
  }
}
