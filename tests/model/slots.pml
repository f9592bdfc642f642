/* The slot protocol as a model for Spin: submit, claim, finish, renew, reap, cancel, resize, and what can go wrong.
 *
 * test_model.py runs it, says how large it is, and takes each rule out in turn to see Spin find the fault.
 * Each `inline` under "the scripts" is one file of slotwise/lua/, named above it, and as atomic as that.
 *
 * What is proved
 *   cap      at every admission fewer bodies live than the cap then in force, and fewer slots are taken; at every
 *            start of a body no more live than slots are taken. So a lowered cap drains: nothing starts while
 *            cap-many live, and nothing is killed.
 *   owner    a body lives only while the store holds its job under its token (the lemma behind the cap).
 *   once     a job ends once, and what has ended never changes: only a running job ends or waits again.
 *   ends     (liveness, with -DFAULTS=n) under weak fairness and n faults, each of any kind and at any time, every
 *            job ends and every slot comes back.
 * Without FAULTS any number of faults may happen, and the safety properties hold all the same.
 *
 * What is abstracted, and why that is sound
 *   time     is an order of events. A worker's deadline counts from when its last answered renewal was sent, an
 *            observer's L from when it saw the latest one executed, and 0.85 L < L. So clocks are trusted with one
 *            thing: when a lease is reaped, its deadline has passed (`late`), and no renewal that could move it
 *            on is under way (`renewed`). No clock's reading matters, only rates that differ by 15 %.
 *   stopped  a worker under SIGSTOP, a slow one and one cut off take no step for a while; that is all.
 *   tokens   are compared with the one that the store holds the job under, and none that it let go comes back
 *            (128 random bits): two values do, THIS and OTHER. An ended attempt under OTHER has one outcome left.
 *   numbers  of exchanges are compared with the last one (`seen`), tokens' with the last one dealt with (`dealt`).
 *            An exchange that arrives after a later one did changes nothing (claim.lua), and has no step here.
 *   outcomes are three: a terminal state, `cancelled`, and to wait again (retry, release, died). Delays, counted
 *            attempts and deaths only postpone a claim, or end a job that would run on. Retries are faults.
 *   asking   a claim may ask although its lease is late, for one slot or for all: more than the worker does.
 *   resizes  without FAULTS are any number at any time: the cap of each claim is any of 0, 1 and 2, and no state.
 *   renewals without FAULTS have no phase of being sent: one that was long under way is one without effect.
 *   queue    in order of the jobs' numbers, which arrive in any order; only the first is ever cancelled.
 *   restarts of a crashed worker come after its lease was reaped. One before that is a third worker.
 *   tokens lost (Holder.on_lost) are left out: by `owner` they find no body to end. So is the worker's own
 *            deadline at 0.6 L: what it does, the kernel's does later.
 *   Redis    keeps what it acknowledged.
 */
#define WORKERS 2
#define JOBS 2
#define I(w, j) ((w) * JOBS + (j))

#define ABSENT 0    /* a job's state */
#define PENDING 1
#define RUNNING 2
#define COMPLETED 3 /* or failed */
#define CANCELLED 4

#define THIS 1      /* a token: the one under which the store holds the job for this worker */
#define OTHER 2     /* one that it held once */

#define NONE 0      /* what a worker knows of an attempt */
#define GRANTED 1   /* its body has not begun */
#define ALIVE 2     /* its body lives */
#define TO_COMPLETE 3
#define TO_STOP 4   /* ended by a cancel */
#define TO_RELEASE 5

#ifdef FAULTS
byte faults = FAULTS; /* liveness: finitely many, of any kind, at any time */
#define FAULT (faults > 0)
#define SPEND faults--
#else
#define FAULT true    /* safety: any number of them */
#define SPEND skip
#endif

#if defined(NO_FENCING) || defined(NO_KILL) || defined(EARLY_REAP)
#define lemma(x) skip /* a mutant is to fail by what is promised, not by a step of its proof */
#else
#define lemma(x) assert(x)
#endif

/* The store. */
#ifdef FAULTS
byte cap = 1;
#endif
byte state[JOBS];
bool running[JOBS];             /* the set whose size is compared with the cap */
bool cancel_requested[JOBS];
bool lease[WORKERS];
byte held[WORKERS * JOBS];      /* the token under which a worker's lease holds a job; 0: it does not */
bool missed[WORKERS * JOBS];    /* the last renewal did not list it */
bool seen[WORKERS];             /* it executed the worker's present exchange */

/* A worker. */
bool up[WORKERS];
byte attempt[WORKERS * JOBS];
byte token[WORKERS * JOBS];
bool dealt[WORKERS * JOBS];     /* the reply that granted `held` has been dealt with */
bool said[WORKERS * JOBS];      /* its finish is part of the present exchange */

/* The reply of an exchange, and of a renewal, on its way. */
bool gone[WORKERS];
byte granted[WORKERS * JOBS];
bool to_cancel[WORKERS * JOBS];
bool renewed[WORKERS];          /* executed, sent less than 0.85 L ago, and its answer is on the way */
#ifdef FAULTS
bool renewing[WORKERS];         /* sent */
#endif
bool unlisted[WORKERS * JOBS];  /* `held`, dealt with, and not among the tokens that this renewal lists */

/* Time. */
bool late[WORKERS];             /* 0.85 L have passed since the last answered renewal was sent */

byte i, k, taken, alive;        /* scratch, zero between two steps */

#define NO_BODY(w) (attempt[I(w, 0)] != ALIVE && attempt[I(w, 1)] != ALIVE)

inline count_alive() {
  alive = 0; i = 0;
  do
  :: i < WORKERS * JOBS -> alive = alive + (attempt[i] == ALIVE); i++
  :: else -> break
  od;
  i = 0
}

inline count_running() {
  taken = 0; i = 0;
  do
  :: i < JOBS -> taken = taken + running[i]; i++
  :: else -> break
  od;
  i = 0
}

inline let_go(w, j) { /* HDEL held: nobody's token will be this one again */
  token[I(w, j)] = (token[I(w, j)] == THIS -> OTHER : token[I(w, j)]);
#ifndef NO_FENCING /* its finish will be refused, whatever it would have said */
  if
  :: token[I(w, j)] == OTHER && attempt[I(w, j)] >= TO_COMPLETE -> attempt[I(w, j)] = TO_RELEASE
  :: else -> skip
  fi;
#endif
  granted[I(w, j)] = (granted[I(w, j)] == THIS -> OTHER : granted[I(w, j)]);
  held[I(w, j)] = 0; dealt[I(w, j)] = 0; missed[I(w, j)] = 0; unlisted[I(w, j)] = 0
}

inline wait_again(w, j) {
  assert(state[j] < COMPLETED);
  lemma(state[j] == RUNNING);
  state[j] = PENDING; running[j] = 0;
  let_go(w, j)
}

inline end(j, how) {
  assert(state[j] < COMPLETED);
  state[j] = how; running[j] = 0; cancel_requested[j] = 0
}

/* ---------------------------------------------------------------- the scripts */

/* submit.lua. A copy sent again finds the record, and does nothing. */
inline submit(j) {
  state[j] = PENDING
}

/* configure.lua, and whatever changes the cap while it runs. */
inline resize(to) {
  cap = to
}

/* cancel.lua */
inline cancel(j) {
  if
  :: running[j] -> cancel_requested[j] = 1
  :: !running[j] && state[j] == PENDING -> end(j, CANCELLED)
  :: else -> skip /* 'finished' or 'unknown' */
  fi;
  k = 0
}

#ifdef NO_FENCING
#define OWNS(w, j) running[j]
#else
#define OWNS(w, j) (held[I(w, j)] == token[I(w, j)])
#endif

/* finish.lua: 'ok' where the token owns the job; where it does not, 'again' or 'stale', and nothing changes. */
inline finish(w) {
  k = 0;
  do
  :: k < JOBS && said[I(w, k)] && OWNS(w, k) && attempt[I(w, k)] == TO_RELEASE -> wait_again(w, k); k++
  :: k < JOBS && said[I(w, k)] && OWNS(w, k) && attempt[I(w, k)] != TO_RELEASE ->
     lemma(state[k] == RUNNING);
     end(k, (attempt[I(w, k)] == TO_COMPLETE -> COMPLETED : CANCELLED));
     let_go(w, k);
     k++
  :: k < JOBS && !(said[I(w, k)] && OWNS(w, k)) -> k++
  :: else -> break
  od;
  k = 0
}

/* claim.lua: 'gone', what it granted before (the same number again), or new grants below the cap. */
inline claim(w, asked, cap) {
  gone[w] = !lease[w];
  k = 0;
  do
  :: k < JOBS ->
     to_cancel[I(w, k)] = (lease[w] && held[I(w, k)] != 0 && cancel_requested[k]);
     granted[I(w, k)] = (lease[w] && seen[w] && !dealt[I(w, k)] -> held[I(w, k)] : 0);
     k++
  :: else -> break
  od;
  if
  :: lease[w] && !seen[w] ->
     seen[w] = 1;
     k = 0;
     do
     :: k < JOBS ->
        count_running();
        if
        :: state[k] == PENDING && taken < cap -> /* running may exceed a lowered cap */
           lemma(!running[k]);
           count_alive();
           assert(alive < cap);
           state[k] = RUNNING; running[k] = 1;
           let_go(w, k);
           held[I(w, k)] = THIS; granted[I(w, k)] = THIS;
           to_cancel[I(w, k)] = cancel_requested[k]; /* the notice 'abort' */
           if
           :: asked == 1 -> break
           :: else -> skip
           fi
        :: else -> skip
        fi;
        k++
     :: else -> break
     od
  :: else -> skip
  fi;
  k = 0; taken = 0; alive = 0
}

/* enlist.lua, and Lease.enlist: a new incarnation; nothing that the last one had under way concerns it. */
inline enlist(w) {
  lease[w] = 1; seen[w] = 0;
  late[w] = 0; renewed[w] = 0
}

/* renew.lua: moves the lease; what the worker does not list twice running, nobody runs. */
inline renew(w) {
  renewed[w] = lease[w] && up[w];
  k = 0;
  do
  :: k < JOBS && lease[w] && unlisted[I(w, k)] && missed[I(w, k)] ->
#ifdef NO_MISSED
     skip;
#else
     wait_again(w, k);
#endif
     unlisted[I(w, k)] = 0; k++
  :: k < JOBS && !(lease[w] && unlisted[I(w, k)] && missed[I(w, k)]) ->
     missed[I(w, k)] = unlisted[I(w, k)]; unlisted[I(w, k)] = 0; k++
  :: else -> break
  od;
  k = 0
}

/* reap.lua: by an observer, or by a worker that leaves. */
inline reap(w) {
  k = 0;
  do
  :: k < JOBS && held[I(w, k)] -> wait_again(w, k); k++
  :: k < JOBS && !held[I(w, k)] -> k++
  :: else -> break
  od;
  k = 0; lease[w] = 0; seen[w] = 0
}

/* ---------------------------------------------------------------- a worker */

inline forget(w, j) {
  attempt[I(w, j)] = NONE; token[I(w, j)] = 0; said[I(w, j)] = 0
}

/* worker/roster.py: end every body. One that had not begun never does. */
inline hand_back(w) {
  k = 0;
  do
  :: k < JOBS && (attempt[I(w, k)] == GRANTED || attempt[I(w, k)] == ALIVE) -> attempt[I(w, k)] = TO_RELEASE; k++
  :: k < JOBS && attempt[I(w, k)] != GRANTED && attempt[I(w, k)] != ALIVE -> k++
  :: else -> break
  od;
  k = 0
}

/* worker/exchange.py: a new exchange takes every finish that is pending. */
inline put_together(w) {
  k = 0;
  do
  :: k < JOBS -> said[I(w, k)] = (attempt[I(w, k)] >= TO_COMPLETE); k++
  :: else -> break
  od;
  k = 0; seen[w] = 0
}

/* Exchange.run's end and Worker._take: finishes are answered, cancels passed on, grants taken in. */
inline take(w) {
  k = 0;
  do
  :: k < JOBS ->
     if
     :: said[I(w, k)] -> forget(w, k)
     :: else -> skip
     fi;
     if
     :: granted[I(w, k)] ->
        lemma(attempt[I(w, k)] == NONE);
        token[I(w, k)] = granted[I(w, k)];
        attempt[I(w, k)] = (to_cancel[I(w, k)] -> TO_STOP : GRANTED);
        dealt[I(w, k)] = (held[I(w, k)] == granted[I(w, k)])
     :: !granted[I(w, k)] && to_cancel[I(w, k)] && attempt[I(w, k)] == GRANTED -> attempt[I(w, k)] = TO_STOP
     :: !granted[I(w, k)] && to_cancel[I(w, k)] && attempt[I(w, k)] == ALIVE -> attempt[I(w, k)] = TO_STOP
     :: else -> skip
     fi;
     granted[I(w, k)] = 0; to_cancel[I(w, k)] = 0;
     k++
  :: else -> break
  od;
  k = 0; seen[w] = 0
}

inline unheard(w) {
  k = 0;
  do
  :: k < JOBS -> granted[I(w, k)] = 0; to_cancel[I(w, k)] = 0; k++
  :: else -> break
  od;
  k = 0; gone[w] = 0
}

inline forget_all(w) {
  unheard(w);
  k = 0;
  do
  :: k < JOBS && attempt[I(w, k)] != ALIVE -> forget(w, k); k++
  :: k < JOBS && attempt[I(w, k)] == ALIVE -> k++
  :: else -> break
  od;
  k = 0; seen[w] = 0
}

/* The loop. What it has sent may arrive although it has died. */
proctype Worker(byte w) {
idle:
  if
  :: d_step { up[w] -> put_together(w) }
  :: d_step { up[w] && FAULT -> /* it is told to stop: Worker.close, Lease.leave */
       SPEND; hand_back(w); forget_all(w); reap(w); up[w] = 0; late[w] = 1; renewed[w] = 0 }
     goto down
  :: !up[w] -> goto down
  fi;
sent:
  if
  :: d_step { finish(w) }
  :: !up[w] -> goto down
  fi;
  if
#ifdef FAULTS
  :: d_step { claim(w, 1, cap) }
  :: d_step { claim(w, JOBS, cap) }
#else /* any number of resizes, at any time: the cap may be anything */
  :: d_step { claim(w, JOBS, 0) }
  :: d_step { claim(w, JOBS, 1) }
  :: d_step { claim(w, 1, 2) }
  :: d_step { claim(w, JOBS, 2) }
#endif
  :: d_step { up[w] && FAULT -> SPEND } goto sent /* the connection broke between the two */
  :: !up[w] -> goto down
  fi;
  if
  :: d_step { up[w] && !gone[w] -> take(w) } goto idle
  :: d_step { up[w] && gone[w] -> lemma(NO_BODY(w)); take(w); hand_back(w); gone[w] = 0; enlist(w) } goto idle
  :: d_step { up[w] && FAULT -> SPEND; unheard(w) } goto sent /* the reply was lost */
  :: !up[w] -> goto down
  fi;
down:
  if
  :: d_step { forget_all(w) }
  fi;
  if
  :: d_step { !lease[w] && NO_BODY(w) -> enlist(w); up[w] = 1 } goto idle
  fi
}

/* worker/lease.py, a thread of its own. */
inline list_tokens(w) { /* Worker.holding: every token whose grant was acknowledged, and whose finish was not */
  k = 0;
  do
  :: k < JOBS ->
     unlisted[I(w, k)] = held[I(w, k)] && dealt[I(w, k)] && token[I(w, k)] != held[I(w, k)];
     k++
  :: else -> break
  od;
  k = 0
}

inline unlist(w) {
  k = 0;
  do
  :: k < JOBS -> unlisted[I(w, k)] = 0; k++
  :: else -> break
  od;
  k = 0
}

proctype Lease(byte w) {
  do
#ifdef FAULTS
  :: d_step { !renewing[w] && up[w] && lease[w] && !renewed[w] -> list_tokens(w); renewing[w] = 1 }
  :: d_step { renewing[w] -> renew(w); renewing[w] = 0 }
  :: d_step { renewing[w] && FAULT -> SPEND; unlist(w); renewing[w] = 0 }
#else
  :: d_step { up[w] && lease[w] && !renewed[w] -> renewed[w] = 1 }
#endif
  :: d_step { renewed[w] -> late[w] = (up[w] -> 0 : late[w]); renewed[w] = 0 }
  :: d_step { renewed[w] && FAULT -> SPEND; renewed[w] = 0 }
  od
}

/* ---------------------------------------------------------------- the world */

/* kernel.Deadline: past the deadline it fires at once, and nothing starts; else the body runs. */
inline start_body(w, j) {
#ifndef NO_KILL
  if
  :: late[w] -> attempt[I(w, j)] = TO_RELEASE
  :: else ->
#endif
     attempt[I(w, j)] = ALIVE;
     lemma(held[I(w, j)] == token[I(w, j)]);
     count_running(); count_alive();
     assert(alive <= taken)
#ifndef NO_KILL
  fi;
#endif
  taken = 0; alive = 0
}

/* 0.85 L: the kernel kills every body of this lease, whether or not its worker can act. */
inline pass_deadline(w) {
  late[w] = 1;
#ifndef NO_KILL
  k = 0;
  do
  :: k < JOBS && attempt[I(w, k)] == ALIVE && up[w] -> attempt[I(w, k)] = TO_RELEASE; k++
  :: k < JOBS && attempt[I(w, k)] == ALIVE && !up[w] -> forget(w, k); k++
  :: k < JOBS && attempt[I(w, k)] != ALIVE -> k++
  :: else -> break
  od;
  k = 0
#endif
}

/* SIGKILL. Its bodies die with it: each when the zygote comes to it, all of them at the deadline. */
inline crash(w) {
  up[w] = 0; renewed[w] = 0;
  k = 0;
  do
  :: k < JOBS && attempt[I(w, k)] != ALIVE && !said[I(w, k)] -> forget(w, k); k++
  :: k < JOBS && (attempt[I(w, k)] == ALIVE || said[I(w, k)]) -> k++
  :: else -> break
  od;
  k = 0
}

#ifdef EARLY_REAP
#define MAY_REAP(w) lease[w]
#else
#define MAY_REAP(w) (lease[w] && late[w] && !renewed[w])
#endif

#ifdef FAULTS /* a task that was cancelled before it began: nobody tells the store */
#define DROPPED(w, j) :: d_step { up[w] && attempt[I(w, j)] == GRANTED && FAULT -> SPEND; forget(w, j) }
#else
#define DROPPED(w, j)
#endif

#define OF_ATTEMPT(w, j) \
  :: d_step { up[w] && attempt[I(w, j)] == GRANTED -> start_body(w, j) } \
  :: d_step { up[w] && attempt[I(w, j)] == ALIVE -> attempt[I(w, j)] = TO_COMPLETE } \
  :: d_step { up[w] && attempt[I(w, j)] == ALIVE && FAULT -> SPEND; attempt[I(w, j)] = TO_RELEASE } /* Retry */ \
  DROPPED(w, j) \
  :: d_step { !up[w] && attempt[I(w, j)] == ALIVE -> forget(w, j) }

#define OF_WORKER(w) \
  OF_ATTEMPT(w, 0) \
  OF_ATTEMPT(w, 1) \
  :: d_step { MAY_REAP(w) -> reap(w) } /* slotwise/lease.py, an observer */ \
  :: d_step { !late[w] && !up[w] -> pass_deadline(w) } \
  :: d_step { !late[w] && up[w] && FAULT -> SPEND; pass_deadline(w) } \
  :: d_step { up[w] && FAULT -> SPEND; crash(w) }

proctype World() {
  do
  OF_WORKER(0)
  OF_WORKER(1)
  :: d_step { state[0] == ABSENT -> submit(0) }
  :: d_step { state[1] == ABSENT -> submit(1) }
  :: d_step { !cancel_requested[0] && (state[0] == PENDING || state[0] == RUNNING) -> cancel(0) }
#ifdef FAULTS
  :: d_step { cap == 0 -> resize(1) } /* whoever pauses a fleet wakes it again */
  :: d_step { cap != 0 && FAULT -> SPEND; resize(0) }
  :: d_step { cap != 1 && FAULT -> SPEND; resize(1) }
  :: d_step { cap != 2 && FAULT -> SPEND; resize(2) }
#endif
  od
}

init {
  atomic {
    enlist(0); enlist(1); up[0] = 1; up[1] = 1;
#ifdef FAULTS
    submit(0); submit(1);
#endif
    run Worker(0); run Worker(1); run Lease(0); run Lease(1); run World()
  }
}

#define DONE(j) (state[j] >= COMPLETED && !running[j] && held[I(0, j)] == 0 && held[I(1, j)] == 0)
#ifdef FAULTS
ltl ends { <> (DONE(0) && DONE(1)) }
#endif
