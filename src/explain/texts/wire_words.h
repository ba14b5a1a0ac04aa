// What a wire tells, in words: the class of a segment, what else is true of it, and in short why a connection was reset (at length:
// reset_reasons.h). English and Chinese side by side; a test holds that no value of tcp/classification.h lacks a row.
#pragma once

#include <bit>
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
inline std::string_view words_of_mark(std::uint32_t mark, Language language) {
  return mark_words(std::countr_zero(mark), language);
}

// The clause that makes it illegal: "RFC 5961 3.2". Empty for none.
std::string_view clause_of(tcp::Illegality illegality);

// What a segment's row says beside its flags: "retransmission (timeout), needless". Empty where the flags say it all: a SYN, data, a FIN,
// an ACK without any mark.
std::string segment_in_words(const tcp::Verdict& verdict, Language language);

}  // namespace tcpwhy::explain
