/** The directory of all did:plc. */
export const PLC_DIRECTORY = 'https://plc.directory'
