// The parts of a page that change by themselves, and small comforts. Every page can be read, and every form sent, without it.
//
// Events of the gateway arrive over one EventSource; they are told to the page as "gateway:change", one in three seconds at
// most, upon which htmx asks for the page again and changes what is different. A dot says whether that works.
(() => {
  "use strict";
  const dots = () => document.querySelectorAll(".live");
  const words = { live: "Live", paused: "Paused", lost: "Not connected" };
  const show = (state) => dots().forEach((dot) => {
    dot.dataset.state = state;
    dot.textContent = words[state];
  });
  const change = () => document.body.dispatchEvent(new CustomEvent("gateway:change"));
  const APART = 3000;
  let source = null, waiting = null, last = 0;

  // Half a second later at least, since the gateway keeps a page for 0.4 s: what is asked for then knows of the event.
  const heard = () => {
    waiting ??= setTimeout(() => { waiting = null; last = Date.now(); change(); }, Math.max(500, last + APART - Date.now()));
  };
  const listen = () => {
    const address = document.body.dataset.events;
    if (!address || source) return;
    source = new EventSource(address);
    source.onopen = () => show("live");
    source.onerror = () => show("lost");
    source.onmessage = heard;
    for (const name of (document.body.dataset.names || "").split(" ").filter(Boolean)) source.addEventListener(name, heard);
  };
  const pause = () => {
    if (source) source.close();
    source = null;
    show("paused");
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) pause();
    else { listen(); change(); heard(); }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button || !navigator.clipboard) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      const said = document.getElementById("said");
      if (said) said.textContent = "Copied.";
    });
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !isTyping) {
      const search = document.querySelector('input[type="search"]');
      if (search) { event.preventDefault(); search.focus(); }
    }
    if (event.key === "Escape") document.querySelectorAll(".bar details[open]").forEach((menu) => { menu.open = false; });
  });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = "zone=" + encodeURIComponent(zone) + ";path=/;max-age=31536000;samesite=strict";
  if (!document.hidden) listen();
})();
