// Which cell a job is drawn in: a slot is membership in a set, so the cells are ours, and a job keeps its own.

export const MOST_CELLS = 500;
export const SOMEBODYS = "somebody's"; // in place of a job that this key is not told of

// The jobs by cell (null: empty), as many as the cap or what runs, `untold` of it somebody's. `before` maps ids to cells,
// and is brought up to date.
export function seated(before, jobs, untold, cap) {
  const cells = new Array(Math.min(MOST_CELLS, Math.max(cap, jobs.length + untold))).fill(null);
  const standing = [];
  for (const job of jobs.slice(0, MOST_CELLS)) {
    const cell = before.get(job.job_id);
    if (cell !== undefined && cell < cells.length && cells[cell] === null) cells[cell] = job;
    else standing.push(job);
  }
  let next = 0;
  for (const job of standing) {
    while (cells[next] !== null) next += 1;
    cells[next] = job;
  }
  before.clear();
  cells.forEach((job, cell) => job && before.set(job.job_id, cell));
  let left = untold;
  return cells.map((job) => job ?? (left-- > 0 ? SOMEBODYS : null));
}
