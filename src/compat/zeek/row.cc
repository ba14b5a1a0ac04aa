#include "compat/zeek/row.h"

#include <fmt/format.h>

namespace tcpwhy::compat::zeek {
namespace {

constexpr bool nothing_certain(State state) { return state == State::inactive || state == State::partial; }

// The originator's SYN, then its RST, and nothing in between that makes more of it.
bool syn_then_reset(std::string_view history) {
  if (history.starts_with('^')) history.remove_prefix(1);
  if (!history.starts_with('S')) return false;
  const auto first = history.find_first_of("RHAFGIQ", 1);
  return first != std::string_view::npos && history[first] == 'R';
}

std::string_view state_after_responder_reset(const ConnRow& row) {
  const State originator = row.originator.state;
  if (originator == State::syn_sent || originator == State::syn_ack_sent) return "REJ";
  if (originator == State::reset && row.originator.bytes == 0 && row.responder.bytes == 0) return "REJ";
  return nothing_certain(originator) ? "RSTRH" : "RSTR";
}

std::string_view state_after_originator_reset(const ConnRow& row) {
  if (!nothing_certain(row.responder.state)) return "RSTO";
  return syn_then_reset(row.history) ? "RSTOS0" : "OTH";
}

struct Column {
  std::string_view name, type;
};

constexpr Column columns[] = {
    {"ts", "time"},          {"uid", "string"},          {"id.orig_h", "addr"},
    {"id.orig_p", "port"},   {"id.resp_h", "addr"},      {"id.resp_p", "port"},
    {"proto", "enum"},       {"duration", "interval"},   {"orig_bytes", "count"},
    {"resp_bytes", "count"}, {"conn_state", "string"},   {"missed_bytes", "count"},
    {"history", "string"},   {"orig_pkts", "count"},     {"orig_ip_bytes", "count"},
    {"resp_pkts", "count"},  {"resp_ip_bytes", "count"},
};

std::string seconds(std::int64_t microseconds) {
  constexpr std::int64_t million = 1'000'000;
  const std::int64_t magnitude = microseconds < 0 ? -microseconds : microseconds;
  return fmt::format("{}{}.{:06}", microseconds < 0 ? "-" : "", magnitude / million, magnitude % million);
}

std::string count_if(bool known, std::uint64_t count) { return known ? std::to_string(count) : "-"; }

}  // namespace

std::string_view conn_state(const ConnRow& row) {
  const State originator = row.originator.state, responder = row.responder.state;
  if (responder == State::reset) return state_after_responder_reset(row);
  if (originator == State::reset) return state_after_originator_reset(row);
  if (originator == State::closed && responder == State::closed) return "SF";
  if (originator == State::closed) return nothing_certain(responder) ? "SH" : "S2";
  if (responder == State::closed) return nothing_certain(originator) ? "SHR" : "S3";
  if (originator == State::syn_sent && responder == State::inactive) return "S0";
  if (originator == State::established && responder == State::established) return "S1";
  return "OTH";
}

std::string header_text() {
  std::string fields = "#fields", types = "#types";
  for (const auto& column : columns) {
    fields += fmt::format("\t{}", column.name);
    types += fmt::format("\t{}", column.type);
  }
  return fmt::format(
      "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n{}\n{}\n", fields,
      types);
}

std::string to_text(const ConnRow& row) {
  const bool lasted = row.duration_us > 0;
  return fmt::format("{}\t-\t{}\t{}\t{}\t{}\ttcp\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", seconds(row.start_us),
                     row.originator.address.ip, row.originator.address.port, row.responder.address.ip,
                     row.responder.address.port, lasted ? seconds(row.duration_us) : "-",
                     count_if(lasted, row.originator.bytes), count_if(lasted, row.responder.bytes), conn_state(row),
                     row.missed_bytes, row.history.empty() ? "-" : row.history, row.originator.packets,
                     row.originator.ip_bytes, row.responder.packets, row.responder.ip_bytes);
}

}  // namespace tcpwhy::compat::zeek
