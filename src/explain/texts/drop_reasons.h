// Why the kernel threw a segment away (enum skb_drop_reason): one table, one row a reason that a sentence can be made of.
#pragma once

#include <string_view>

#include "base/language.h"

namespace tcpwhy::explain {

enum class DropKind : unsigned char {
  no_news,       // it had done its work, or was not wanted any more
  no_socket,     // nobody is there to take it
  accept_queue,  // the listener's queue is full
  signature,     // TCP-MD5, TCP-AO
  firewall,      // somebody wanted it thrown away
  resource,      // no room, no neighbour, no memory: it was not wanted thrown away
  other,
};

struct DropReason {
  std::string_view reason;  // as the kernel has it, without SKB_DROP_REASON_
  DropKind kind = DropKind::other;
  // Of `firewall` who threw it away, of the others why: what follows "it was thrown away: ".
  base::Text by{"the kernel's reason has no words here", "内核给出的原因此处没有文字说明"};
  base::Text look{"enum skb_drop_reason of this kernel", "本内核的 enum skb_drop_reason"};  // where to look
};

// A reason that has no row is `other`, in its own name.
const DropReason& drop_reason(std::string_view reason);
inline bool is_loss(std::string_view reason) { return drop_reason(reason).kind != DropKind::no_news; }

}  // namespace tcpwhy::explain
