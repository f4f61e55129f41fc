/**
 * What the specification asks of the target, one row a requirement: id, where it says so, the
 * sentence. conformance-docs.ts → requirements; the titles of the tests begin with these ids.
 *
 * Sections are those of: NVMe/TCP Transport Specification 1.0a (TCP), NVMe over Fabrics 1.1 and the
 * fabrics parts of NVMe Base 2.0 (FAB), NVMe Base Specification 2.0 (BASE), NVM Command Set 1.0
 * (NVM), Zoned Namespace Command Set 1.1 (ZNS).
 * Where the specification leaves a choice, the row says what weft chose.
 *
 * Invariant: ids are unique and never reused. A row that no test claims is listed as unclaimed.
 */
import { COMMANDS } from './requirements/commands.ts'
import { CONTROLLERS } from './requirements/controllers.ts'
import { DISCOVERY } from './requirements/discovery.ts'
import { NAMESPACES } from './requirements/namespaces.ts'
import { TRANSPORT } from './requirements/transport.ts'
import { ZONES } from './requirements/zones.ts'

export type Requirement = readonly [id: string, source: string, text: string]

export const REQUIREMENTS: readonly Requirement[] = [
  ...TRANSPORT, ...CONTROLLERS, ...COMMANDS, ...NAMESPACES, ...DISCOVERY, ...ZONES,
]
