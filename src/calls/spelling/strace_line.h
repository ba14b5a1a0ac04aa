// One line of strace's log, taken apart. A view of the line's bytes: nothing is copied but arguments that are asked for.
//
//   1234  1795646923.101260 connect(3<TCP:[2895902]>, {...}, 16 <unfinished ...>       (-f -ttt -yy -o FILE)
//   [pid  1234] 1795646923.102018 <... connect resumed>) = 0 <0.000758>                (-T, to a terminal)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "wire/address.h"

namespace tcpwhy::calls {

enum class StraceLineKind : std::uint8_t {
  call,        // as far as the line goes: text is everything behind NAME(
  unfinished,  // NAME(..., another line tells the rest
  resumed,     // text is what follows "resumed>"
  signal,      // --- NAME {...} ---, which text is from NAME on
  exited,      // +++ exited with STATUS +++
  killed,      // +++ killed by NAME +++
  other,       // of strace, but nothing that happens to a connection
  unknown,     // no line of strace
};

struct StraceLine {
  StraceLineKind kind = StraceLineKind::unknown;
  std::optional<std::int32_t> pid;
  std::optional<base::WallTime> at;  // -ttt, from 2001 on; absent for any other kind of time
  std::string_view name;             // of the call or signal
  std::string_view text;
  std::int32_t status = 0;
};
StraceLine parse_strace_line(std::string_view line);

struct StraceArgument {
  std::string text;             // without what -y and -yy put behind descriptors
  std::string_view descriptor;  // that: "TCP:[127.0.0.1:1->127.0.0.1:2]" of the first one in it; empty: none
};

// What stands behind NAME( : the arguments, and behind the closing parenthesis the result.
struct StraceCall {
  std::vector<StraceArgument> arguments;
  bool closed = false;  // the line went on to the closing parenthesis
  std::string_view result;
};
StraceCall split_strace_call(std::string_view text);

struct StraceResult {
  std::optional<std::int64_t> value;   // absent: "?", it never came back
  std::int32_t error = 0;              // errno
  std::string_view descriptor;         // of a descriptor that it returned
  std::string_view detail;             // in parentheses behind it: what poll() found
  std::optional<base::Duration> took;  // -T
};
StraceResult parse_strace_result(std::string_view text);

// "TCP:[127.0.0.1:1->127.0.0.1:2]", "TCPv6:[[::1]:80]", "TCP:[2895902]", "socket:[2895902]".
struct StraceSocket {
  bool tcp = false;
  std::uint64_t inode = 0;  // 0: it has addresses instead
  std::optional<wire::SocketAddress> local, remote;
};
// Nothing for what is no socket, or another protocol's.
std::optional<StraceSocket> parse_strace_socket(std::string_view descriptor);

}  // namespace tcpwhy::calls
