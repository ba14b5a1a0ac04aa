// tcpwhy read has many options, and shows many things; not each option says something of each thing. One row an option says of which it
// does; of all others it is refused, for an option that does nothing lets its user believe that it did.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

namespace CLI {
class App;
}

namespace tcpwhy::cli {

// What is shown.
enum class Shown : std::uint8_t {
  fields,              // --fields
  summary,             // of a capture, as text
  table,               // of its connections, as text
  groups,              // of them, as text
  problems,            // of them, one by one, as text
  records,             // a record for each: CSV, NDJSON, Parquet
  records_of_groups,   // CSV, NDJSON, JSON
  packets,             // tcpdump's lines
  connection,          // one, as text
  connection_json,     //
  connection_packets,  // tcpdump's lines
  timeline,            // of a recording, as text
  document,            // of a recording, as JSON
  findings,            // of a recording
  calls,               // of a recording, as strace has them
  tshark,
  zeek,
};
inline constexpr int shown_count = 17;
bool is_of_connections(Shown shown);  // of a capture: the summary, its connections in a table, in groups, as records
bool is_of_recording(Shown shown);

// ErrorKind::usage: an option was given that none of `possible` honours; its hint says what would.
base::Status check_read_options(const CLI::App& read, std::span<const Shown> possible);

}  // namespace tcpwhy::cli
