// What is wrong, as whoever is on call asks for it: each cause once, with what followed from it, and the worst first. The findings say the
// same one by one; a verdict ties together those of one event, so that one sentence tells who did what, why, and to whom it was harm.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "explain/finding.h"

namespace tcpwhy::explain {

struct Verdict {
  const Finding* cause = nullptr;        // or what stands nearest to it
  std::vector<const Finding*> effects;   // what the ends met because of it: errors, a signal; in order of time
  std::vector<const Finding*> findings;  // all that speak of the event, the two above among them; in order of time

  [[nodiscard]] Severity severity() const;  // the worst of them
};

// `findings`: of one connection, or of none; they outlive what is made of them. What is as it should be (Severity::chat) makes no verdict.
// Worst first, then in order of time.
std::vector<Verdict> verdicts_of(const timeline::Timeline& timeline, std::span<const Finding* const> findings);

// "server python3[812] close(4) at handle app.py:41: 5 bytes left unread → reset; client python3[813] recv(3) = ECONNRESET". One sentence
// without a full stop. Safe for a terminal.
std::string headline(const Verdict& verdict, const timeline::Timeline& timeline, Language language);
// The events that the headline rests on; in order of time.
std::vector<timeline::EventId> evidence_of(const Verdict& verdict);
// What to do about one of its findings. Empty: nothing, or the cause that one would be told to look for is known.
std::string remedy(const Verdict& verdict, const Finding& finding, Language language);

// An end with its role: "server python3[812]", "client 127.0.0.1:40000"; "server" where that is its name. Escaped. `actor`: which of its
// processes; none: the first.
std::string end_words(const timeline::Timeline& timeline, timeline::ConnectionIndex connection, timeline::Side side,
                      timeline::ActorId actor, Language language);

}  // namespace tcpwhy::explain
