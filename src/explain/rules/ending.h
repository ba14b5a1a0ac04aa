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
  bool process_ended = false;           // its process's end did it
  std::int32_t error = 0;               // errno that a socket or a call got: of refused, given_up, failed
  base::Duration lasted{};              // from the first to the last that is known of it
};
Ending ending_of(const timeline::Timeline& timeline, timeline::ConnectionIndex index);

// Payload, each byte once; where no packet was seen, what calls sent, or the other side's calls received.
std::uint64_t bytes_sent(const timeline::Timeline& timeline, timeline::ConnectionIndex index, timeline::Side side);

}  // namespace tcpwhy::explain
