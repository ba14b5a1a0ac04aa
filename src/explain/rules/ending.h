// How a connection ended, in one value: what a line about it has to say.
#pragma once

#include <optional>
#include <string>

#include "explain/finding.h"

namespace tcpwhy::explain {

enum class EndKind : std::uint8_t {
  open,       // nobody has closed
  half,       // one side has closed, the other not
  in_order,   // both sides' FINs
  reset,      // a RST, by `first`
  refused,    // a RST, or an ICMP message, instead of the SYN-ACK
  given_up,   // the kernel gave up: `error`
  failed,     // never stood, for another reason: `error`
  withdrawn,  // closed by who opened it, before an answer came
  not_known,  // without packets nothing tells what was sent
};
std::string_view name(EndKind kind);

struct Ending {
  EndKind kind = EndKind::open;
  std::optional<timeline::Side> first;  // who closed, reset or gave up first, if that is known
  std::string call;                     // the call that did it: "close"; "" if none or not known
  bool process_ended = false;           // a process's end did it: the end's own,
  std::string ended;                    // or this one ("sleep[4711]"), which held its socket too; "?": not known which
  std::int32_t error = 0;               // errno that a socket or a call got: of refused, given_up, failed
  base::Duration lasted{};              // from the first to the last that is known of it
};
Ending ending_of(const timeline::Timeline& timeline, timeline::ConnectionIndex index);

// Whose end made a segment leave (Trigger::process_end).
struct Ender {
  enum class Who : std::uint8_t {
    owner,      // a process that made calls on the socket
    other,      // one that made none: it had inherited it, or was sent it
    thread,     // not a process: a thread of it that had descriptors of its own (unshare(CLONE_FILES))
    not_known,  // a process that was not followed, or whose end was not told
  };
  Who who = Who::not_known;
  std::string name;  // owner, thread: the end's, with the pid where it is several processes; other: "sleep[4711]"
  std::optional<timeline::EventId> end;  // ProcessEnded
  OwnedText subject;  // what follows is "ended", or how_ended(): "the server's process", "sleep[4711], which held ..."
};
Ender ender_of(const timeline::Timeline& timeline, const timeline::Segment& segment);
// "the server's process", of an end with that name.
OwnedText process_of_end(const std::string& name);

// Payload, each byte once; where no packet was seen, what calls sent, or the other side's calls received.
std::uint64_t bytes_sent(const timeline::Timeline& timeline, timeline::ConnectionIndex index, timeline::Side side);

}  // namespace tcpwhy::explain
