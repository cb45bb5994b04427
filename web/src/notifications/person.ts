/** Until people have accounts, whoever acts here says who they are, once. */
const key = 'raylog.name'

/** Empty where nobody said it. */
export const ownName = (): string => localStorage.getItem(key) ?? ''
export const keepName = (name: string): void => localStorage.setItem(key, name)
