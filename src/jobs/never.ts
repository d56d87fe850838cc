/** What becomes of an execution that is abandoned. A new one each time: a shared one would keep all who wait for it. */
export const never = () => new Promise<never>(() => {});
