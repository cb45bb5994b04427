/** Whether it is a UID: digits and dots, 64 characters at most (PS3.5 9.1). Zeros that lead a part are let pass. */
export const isUid = (text: string): boolean => text.length <= 64 && /^[0-9]+(\.[0-9]+)+$/.test(text)
