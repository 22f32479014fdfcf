/* What went wrong is said beside the control that it is about; here it is brought into view and given the focus, and
   its Retry presses that control again. What Gradio itself reports (an upload that failed, a server that is gone) comes
   as a passing notice in its own words: it is said in place instead, and stays until the next thing happens. */
(() => {
  "use strict";
  const { all, one, asking, settled, say, number } = window.citesight;
  const state = { typing: false }; // whether something was typed since the last press: then the focus is left alone

  // The words of a connection that is lost, as Gradio's client has them and as it translates them.
  const LOST = /connect|network|fetch|reach|verbindung|connexion|conexi|连接|الاتصال/i;

  // of: "" for a photo, "_file" for another file.
  function told(notice, of) {
    const given = /HTTP (?:4\d\d|507): ([^<>]{1,300}\.)/.exec(notice); // a sentence of the server's own
    if (given) return given[1];
    if (/maximum allowed size/i.test(notice)) {
      const most = /([\d.]+) ?mb/i.exec(notice);
      const said = most ? say("script.mb", { number: number(Number(most[1])) }) : say("script.see_log");
      return say(`script.too_large${of}`, { most: said });
    }
    if (/HTTP 5\d\d|internal server error/i.test(notice)) {
      return say(`script.not_stored${of}`);
    }
    if (/currently busy/i.test(notice)) return say("script.busy");
    if (LOST.test(notice)) {
      return say("script.lost");
    }
    return notice;
  }

  // After which control a notice is said, and what Retry presses.
  function about(notice) {
    const uploading = /maximum allowed size|HTTP \d|internal server error|upload/i.test(notice);
    if (!asking()) return [uploading && one("#cc-files") ? "#cc-files" : "#cc-problem", ""];
    if (uploading) return ["#cs-unfit", ""];
    return ["#cs-problem", /currently busy/i.test(notice) ? "#cs-ask" : ""];
  }

  // Says a sentence after the element; "" says nothing any more.
  function complain(sentence, after = "#cs-unfit", again = "") {
    one("#cs-notice")?.remove();
    if (!sentence) return;
    const place = document.createElement("p");
    place.id = "cs-notice";
    place.className = "cs-error";
    place.setAttribute("role", "alert");
    place.textContent = sentence;
    if (again) {
      const retry = document.createElement("button");
      retry.type = "button";
      retry.className = "cs-retry";
      retry.dataset.again = again;
      retry.textContent = say("script.retry");
      place.append(" ", retry);
    }
    one(after)?.after(place);
  }
  window.citesight.complain = complain;

  document.addEventListener("input", (event) => {
    complain("");
    if (event.isTrusted && event.target.matches("textarea, input[type=text]")) state.typing = true;
  });
  document.addEventListener("click", (event) => {
    const retry = event.target instanceof Element ? event.target.closest(".cs-retry") : null;
    complain("");
    state.typing = false;
    if (retry) one(retry.dataset.again)?.click();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") state.typing = false;
  });

  settled(() => {
    const notices = all('[data-testid="toast-body"].error [data-testid="toast-text"]');
    const fresh = notices.filter((notice) => notice.dataset.said === undefined);
    fresh.forEach((notice) => (notice.dataset.said = ""));
    if (fresh.length) {
      const notice = fresh[fresh.length - 1].textContent.trim();
      complain(told(notice, asking() ? "" : "_file"), ...about(notice));
    }
    if (fresh.some((notice) => LOST.test(notice.textContent))) window.brokenOff();
    if (fresh.some((notice) => /currently busy/i.test(notice.textContent))) window.stopped(); // it waits for nothing

    const unseen = all('#cs-main .cs-error[role="alert"], .tabitem .cs-error[role="alert"]').filter(
      (error) => error.dataset.seen === undefined && error.checkVisibility(),
    );
    unseen.forEach((error) => (error.dataset.seen = ""));
    const error = unseen[unseen.length - 1];
    if (!error || error.closest("#cs-status")) return;
    error.tabIndex = -1;
    if (!state.typing) error.focus({ preventScroll: true });
    error.scrollIntoView({ behavior: "auto", block: "nearest" });
  });
})();
