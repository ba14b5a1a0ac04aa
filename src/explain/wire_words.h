// What a wire tells, in words: the class of a segment, what else is true of it, and why a connection was reset. English and Chinese side
// by side; a test holds that no value of tcp/classification.h lacks a row.
#pragma once

#include <string>
#include <string_view>

#include "explain/finding.h"
#include "tcp/classification.h"

namespace tcpwhy::explain {

// A few words, for a cell or a row: "keep-alive", "tail-loss probe", "reset in window". Empty for none.
std::string_view words(tcp::Kind kind, Language language);
std::string_view words(tcp::RetransmissionReason reason, Language language);
std::string_view words(tcp::Illegality illegality, Language language);
std::string_view words(tcp::ResetCause cause, Language language);
std::string_view mark_words(int bit, Language language);  // bit < tcp::mark::count

// The clause that makes it illegal: "RFC 5961 3.2". Empty for none.
std::string_view clause_of(tcp::Illegality illegality);

// What a segment's row says beside its flags: "retransmission (timeout), needless". Empty where the flags say it all: a SYN, data, a FIN,
// an ACK without any mark.
std::string segment_in_words(const tcp::Verdict& verdict, Language language);

// Of each cause of a reset one sentence. {sender} sent the reset, {receiver} got it; fill() puts them in.
struct ResetText {
  tcp::ResetCause cause;
  std::string_view happened_en, happened_zh;
  std::string_view because_en, because_zh;  // why we say it
  std::string_view or_else_en, or_else_zh;  // what else looks like this; empty where nothing does
  std::string_view remedy_en, remedy_zh;    // what to do; empty where nothing is to be done

  [[nodiscard]] std::string_view happened(Language language) const;
  [[nodiscard]] std::string_view because(Language language) const;
  [[nodiscard]] std::string_view or_else(Language language) const;
  [[nodiscard]] std::string_view remedy(Language language) const;
};
// Of any cause but none.
const ResetText& text_of(tcp::ResetCause cause);

}  // namespace tcpwhy::explain
