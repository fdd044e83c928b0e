// The browser's own storage (the origin private file system) as files by path, and one tab at a time for a run.
const root = async () => (await navigator.storage?.getDirectory?.()) ?? null;

// Whether this browser keeps files at all. In private windows some do not.
export async function isThere() {
  try {
    return (await root()) !== null;
  } catch {
    return false;
  }
}

async function folderOf(path, create) {
  let folder = await root();
  for (const part of path.split("/").slice(0, -1)) {
    folder = await folder.getDirectoryHandle(part, { create });
  }
  return [folder, path.split("/").at(-1)];
}

export async function put(path, bytes) {
  const [folder, name] = await folderOf(path, true);
  const file = await folder.getFileHandle(name, { create: true });
  if (file.createWritable) {
    // What was there before stays until all is written.
    const stream = await file.createWritable();
    await stream.write(bytes);
    await stream.close();
    return;
  }
  const access = await file.createSyncAccessHandle();
  try {
    access.truncate(0);
    access.write(bytes, { at: 0 });
    access.flush();
  } finally {
    access.close();
  }
}

export async function remove(path) {
  try {
    const [folder, name] = await folderOf(path, false);
    await folder.removeEntry(name, { recursive: true });
  } catch (error) {
    if (error.name !== "NotFoundError") throw error;
  }
}

// What is gone is nothing; anything else went wrong.
function forgive(error) {
  if (!["NotFoundError", "NotReadableError"].includes(error.name)) throw error;
  return null;
}

// Every file under a folder, "" for all: [path, bytes, milliseconds since 1970, path, ...].
export async function read(under) {
  const found = [];
  const look = async (folder, at) => {
    for await (const [name, handle] of folder.entries()) {
      const path = at ? `${at}/${name}` : name;
      if (handle.kind === "directory") {
        await look(handle, path).catch(forgive);
      } else {
        // Another tab may remove it meanwhile.
        const file = await handle.getFile().catch(forgive);
        const bytes = await file?.arrayBuffer().catch(forgive);
        if (bytes) found.push(path, new Uint8Array(bytes), file.lastModified);
      }
    }
  };
  const [folder] = (await folderOf(under ? `${under}/x` : "x", false).catch(forgive)) ?? [];
  if (folder) await look(folder, under).catch(forgive);
  return found;
}

// Holds a name for this tab; null where another has it. What comes back lets it go.
export async function hold(name) {
  if (!navigator.locks) return () => {};
  return new Promise((told) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) {
        told(null);
        return;
      }
      return new Promise((release) => told(release));
    });
  });
}
