/** SOP classes that are not images: what can be asked of us beside C-STORE (PS3.4 C.6, J.3). */

export type ServiceName = 'find' | 'move' | 'get' | 'commitment' | 'procedure-step'

export interface ServiceClass {
  readonly uid: string
  readonly name: string
  readonly service: ServiceName
  /** Top level of its information model; null: none. */
  readonly root: 'PATIENT' | 'STUDY' | null
}

const query = '1.2.840.10008.5.1.4.1.2.'

export const commitmentClass = '1.2.840.10008.1.20.1'
/** The well-known instance that storage commitment is asked of (PS3.4 J.3.5). */
export const commitmentInstance = '1.2.840.10008.1.20.1.1'

export const procedureStepClass = '1.2.840.10008.3.1.2.3.3'

export const serviceClasses: readonly ServiceClass[] = [
  { uid: `${query}1.1`, name: 'Patient Root Query/Retrieve - FIND', service: 'find', root: 'PATIENT' },
  { uid: `${query}1.2`, name: 'Patient Root Query/Retrieve - MOVE', service: 'move', root: 'PATIENT' },
  { uid: `${query}1.3`, name: 'Patient Root Query/Retrieve - GET', service: 'get', root: 'PATIENT' },
  { uid: `${query}2.1`, name: 'Study Root Query/Retrieve - FIND', service: 'find', root: 'STUDY' },
  { uid: `${query}2.2`, name: 'Study Root Query/Retrieve - MOVE', service: 'move', root: 'STUDY' },
  { uid: `${query}2.3`, name: 'Study Root Query/Retrieve - GET', service: 'get', root: 'STUDY' },
  { uid: commitmentClass, name: 'Storage Commitment Push Model', service: 'commitment', root: null },
  {
    uid: procedureStepClass,
    name: 'Modality Performed Procedure Step',
    service: 'procedure-step',
    root: null,
  },
]

const byUid = new Map(serviceClasses.map(each => [each.uid, each]))

export const serviceClass = (uid: string): ServiceClass | undefined => byUid.get(uid)

/** Their identifiers and answers are small: they are read and written in the two syntaxes that everybody has. */
export const plainSyntaxes: ReadonlySet<string> = new Set(['1.2.840.10008.1.2', '1.2.840.10008.1.2.1'])
