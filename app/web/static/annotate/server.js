/* Annotation: talking with the server. What somebody says of a passage is written into the browser's storage first and
   sent from there, one after the other, so a lost connection, a reload or a closed laptop loses nothing; what was sent
   without an answer is sent again, which changes nothing where it had arrived. One tab sends for all of this browser,
   and all of them hear what came of it. */
(() => {
  "use strict";
  const QUEUE = "citesight-judgments";
  const SENDER = "citesight-sender"; // the tab that sends, so that two send nothing in another order
  const HELD = 15_000; // milliseconds for which it is the one
  const PATIENCE = 25_000; // for an answer
  const LONGEST_WAIT = 15_000; // between two tries
  const FINAL = [400, 404, 413, 415]; // trying again would change nothing
  const tab = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const channel = new BroadcastChannel("citesight-annotation"); // to the other tabs
  addEventListener("pagehide", release);
  const state = { memory: [], stored: true, sending: false, problem: "", tops: {}, person: "", wake: () => {} };
  const listeners = [];

  class Refused extends Error {
    constructor(status, sentence, fields = {}) {
      super(sentence);
      this.status = status;
      this.fields = fields; // a sentence for each that is wrong
    }
  }

  async function ask(name, told = {}) {
    const asking = {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...told, person: state.person }), // another tab may have signed in somebody else
      signal: AbortSignal.timeout(PATIENCE),
    };
    let response;
    try {
      response = await fetch(`annotation/do/${name}`, asking);
    } catch {
      throw new Refused(0, window.citesight.say("annotate.unreached"));
    }
    let answer = null;
    try {
      answer = await response.json();
    } catch {
      // A proxy's page, or a body that was cut off: told below, or the status says all.
    }
    if (response.ok) return answer;
    const refused = new Refused(response.status, answer?.problem ?? window.citesight.say("annotate.no_answer", { status: response.status }), answer?.fields);
    if (refused.status === 401) tell("out", refused);
    throw refused;
  }

  function queue() {
    if (!state.stored) return state.memory;
    try {
      return JSON.parse(localStorage.getItem(QUEUE) ?? "[]");
    } catch {
      return [];
    }
  }

  function keep(queued) {
    try {
      localStorage.setItem(QUEUE, JSON.stringify(queued));
    } catch {
      state.stored = false; // full, or not allowed: it is in this page's memory alone then
      state.memory = queued;
    }
  }

  const hopeless = (refused) => FINAL.includes(refused.status);
  const own = () => queue().filter((each) => each.person === state.person);
  const tell = (what, ...about) => listeners.forEach((listener) => listener(what, ...about));

  /* What came of an operation: saved, undone, or refused with a sentence. Heard by the listeners of all tabs. */
  function ended(what, op, came) {
    channel.postMessage({ what, op, came });
    heard(what, op, came);
  }

  function heard(what, op, came) {
    if (came?.said) state.tops[op.told.project] = came.top;
    tell(what, op, came);
  }

  channel.addEventListener("message", ({ data: { what, op, came } }) => op.person === state.person && heard(what, op, came));

  /* name: "judge", "skip" or "undo"; told: what of. Gives its number. */
  function say(name, told) {
    const id = crypto.getRandomValues(new Uint32Array(3)).join("-");
    keep([...queue(), { id, tab, person: state.person, name, told }]);
    tell("waiting");
    send();
    return id;
  }

  /* What was said in a project and is not saved yet, in its order, without what an undo among it takes back; of what is
     saved already an undo takes back what its answer says. */
  function held(project) {
    const left = [];
    own().filter(({ told }) => told.project === project).forEach((each) => (each.name === "undo" ? left.pop() : left.push(each)));
    return left;
  }

  function sender() {
    try {
      const [who, until] = JSON.parse(localStorage.getItem(SENDER) ?? '["",0]');
      if (who !== tab && until > Date.now() && until < Date.now() + 2 * HELD) return false;
      localStorage.setItem(SENDER, JSON.stringify([tab, Date.now() + HELD]));
    } catch {
      // No storage that tabs share: each has its own queue.
    }
    return true;
  }

  /* Another tab, or this one loaded anew, need not wait until the time is over. */
  function release() {
    try {
      const [who] = JSON.parse(localStorage.getItem(SENDER) ?? '["",0]');
      if (who === tab) localStorage.removeItem(SENDER);
    } catch {
      // As in sender().
    }
  }

  const pause = (milliseconds) =>
    new Promise((done) => {
      const timer = setTimeout(done, milliseconds);
      state.wake = () => (clearTimeout(timer), done());
    });

  async function send() {
    if (state.sending || !state.person) return;
    state.sending = true;
    let wait = 1_000;
    for (let [first] = own(); first && state.person; [first] = own()) {
      if (!sender()) {
        await pause(1_000);
        continue;
      }
      try {
        await sent(first);
        wait = 1_000;
        state.problem = "";
      } catch (problem) {
        state.problem = problem.message;
        tell("waiting");
        await pause(wait);
        wait = Math.min(LONGEST_WAIT, 2 * wait);
      }
    }
    state.sending = false;
    state.problem = "";
    release();
    tell("waiting");
  }

  async function sent(first) {
    const done = () => keep(queue().filter((each) => each.id !== first.id));
    const project = first.told.project;
    if (first.name === "undo" && first.told.number === undefined) {
      // All before it has been answered, so this is known; and once it is sent it stays, however often.
      first.told.number = state.tops[project];
      if (!first.told.number) {
        done();
        ended("undone", first, null);
        return;
      }
      keep(queue().map((each) => (each.id === first.id ? first : each)));
    }
    let answer;
    try {
      answer = await ask(first.name, first.told);
    } catch (problem) {
      if (!hopeless(problem)) throw problem;
      done();
      ended("refused", first, problem.message);
      return;
    }
    done();
    ended(first.name === "undo" ? "undone" : "saved", first, answer);
  }

  function signed(person) {
    if (person !== state.person) state.tops = {}; // of another's judgments
    state.person = person;
    state.wake();
    send();
  }

  addEventListener("online", () => state.wake());
  addEventListener("storage", (event) => event.key === QUEUE && tell("waiting"));
  addEventListener("beforeunload", (event) => {
    if (!state.stored && own().length) event.preventDefault(); // else it is sent when the page is opened again
  });

  window.citesight.server = {
    ask,
    hopeless,
    say,
    signed,
    waiting: () => ({ count: own().length, undo: own().some((each) => each.name === "undo"), problem: state.problem }),
    // What was said of an item and is not saved yet.
    queued: (project, item) =>
      held(project).filter(({ name, told }) => name === "judge" && told.item === item).map(({ told: { project: _, item: __, ...said } }) => said),
    here: (op) => op.tab === tab, // said in this tab
    others: () => queue().filter((each) => each.person !== state.person),
    top: (project, number) => (state.tops[project] = own().length ? state.tops[project] : number),
    told: (listener) => listeners.push(listener),
  };
})();
