// Why a connection was reset: one table, one row a reason, for everybody who tells of a reset. Each row says how the reason is known
// (the kernel's word, the wire, or calls and states alone), how bad it is, and what is said of it. Findings and their texts, watch's
// endings, the words of captures and their problems are made from these rows: docs/HOWTO-add-a-reset-reason.md.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "explain/finding.h"
#include "tcp/tracker.h"

namespace tcpwhy::explain {

// The kernel's own word. No word stands in two rows.
struct ResetByKernel {
  std::string_view cause{};                   // its stack: a name of docs/KERNEL-CAUSES.md
  Text row_words{};                           // what a segment's row says of that cause beside the call: "data unread"
  std::array<std::string_view, 2> reasons{};  // enum sk_rst_reason, without SK_RST_REASON_: "TCP_ABORT_ON_CLOSE"
  bool settles_it = true;                     // false: calls and states have to be looked at too (find_resets.cc)
};

// What a capture says of it.
struct ResetOnWire {
  Text short_form{};  // a few words, for a cell: "closed with unread data"
  Text sentence{};
  Text because{};              // why we say it
  Text or_else{};              // what else looks like this; empty where nothing does
  std::string_view problem{};  // its id among the problems of a capture; empty for what ends no connection
  Text summary{};              // that problem, where connections are counted and no end is named
};

// In the texts {who} sent the reset and {peer} got it. Who never tells this reason has no text for it.
struct ResetReason {
  std::string_view id;  // of the finding and of watch's ending: "reset.unread_data_at_close"
  Severity severity;    // of the finding and of the problem; to watch it is abnormal from warning on
  std::string_view rests_on;

  ResetByKernel kernel{};
  tcp::ResetCause wire = tcp::ResetCause::none;  // a capture's name for it; each has one row
  std::string_view at_exit{};                    // the row instead, where the end of the process closed the socket
  std::string_view wider{};                      // the row that is told by who can't tell this one from others like it

  std::string_view when{};         // the finding is made when all of these hold
  std::string_view cannot_know{};  // what its evidence leaves open
  Text finding{};                  // with the slots of find_resets.cc
  Text headline{};                 // the same in a few words, with the places of headlines.h
  Text ending{};                   // watch's line; here {resetter} sent the reset
  Text answer{};                   // its clause in the answer to question 5
  ResetOnWire on_wire{};
  Text remedy{};  // what to do, whoever tells; empty where nothing is to be done
};

std::span<const ResetReason> reset_reasons();

// Null: no row has it.
const ResetReason* find_reset_reason(std::string_view id);
const ResetReason* reset_reason_of_problem(std::string_view problem);
// The kernel's stack tells more than its reason, which several causes share. Either may be empty.
const ResetReason* reset_reason_of_kernel(std::string_view cause, std::string_view reason);

// Of any cause but none.
const ResetReason& reset_reason_on_wire(tcp::ResetCause cause);
// Why a capture says so of this one: the one of several signs that it has.
Text because(const tcp::ResetSeen& reset);

}  // namespace tcpwhy::explain
