/** Who wrote a file, in its meta information (PS3.10 7.1), and who speaks, in an association (PS3.7 D.3.3.2). */
export const implementation = { classUid: '2.25.251462843917846027411936409137826502873', version: 'RAYLOG' } as const
