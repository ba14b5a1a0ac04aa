// Numbers of the kernel's interface and their names, as strace has them: flags that are joined, values that are one of several. Both
// directions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tcpwhy::calls {

struct NamedValue {
  std::uint64_t value = 0;
  std::string_view name;
};

// MSG_DONTWAIT|MSG_NOSIGNAL; what no row names as |0x..., and if no row names any: 0x10 /* MSG_??? */. 0: "0".
std::string spell_flags(std::span<const NamedValue> rows, std::uint64_t value, std::string_view unknown);
// SOL_TCP, or else 0x4d /* SOL_?? */.
std::string spell_value(std::span<const NamedValue> rows, std::uint64_t value, std::string_view unknown);
// The row of exactly this value; null: none.
const NamedValue* find_value(std::span<const NamedValue> rows, std::uint64_t value);
// As people write a name: any case, and `prefix` may be left out (SHUT_WR, wr). Absent: none of the rows.
std::optional<std::uint64_t> value_named(std::span<const NamedValue> rows, std::string_view name,
                                         std::string_view prefix);
bool same_word(std::string_view a, std::string_view b);  // any case

using NamedValues = std::span<const NamedValue>;
NamedValues address_families();
NamedValues socket_types();       // SOCK_STREAM ...
NamedValues socket_type_flags();  // SOCK_CLOEXEC, SOCK_NONBLOCK
NamedValues ip_protocols();       // IPPROTO_IP ...
NamedValues message_flags();      // MSG_*
NamedValues option_levels();      // SOL_*
NamedValues shutdown_ways();
NamedValues poll_events();
NamedValues epoll_events();
NamedValues epoll_operations();
NamedValues epoll_create_flags();
NamedValues descriptor_commands();  // F_*
NamedValues access_modes();         // O_RDONLY, O_WRONLY, O_RDWR
NamedValues close_range_flags();
NamedValues splice_flags();
NamedValues vector_flags();  // RWF_*
NamedValues clone_flags();
NamedValues unshare_flags();
NamedValues ioctl_requests();
NamedValues ring_setup_flags();
NamedValues ring_enter_flags();

// The number of "EPIPE", or of one of the kernel's own that strace shows ("ERESTARTSYS"); 0: none of that name.
std::int32_t error_named(std::string_view name);
std::string error_name(std::int32_t error);  // "EPIPE"; "errno 4711" for a number without a name
std::string error_text(std::int32_t error);  // "EPIPE (Broken pipe)"; the kernel's own ERESTART* too
// "SIGPIPE", "SIGRT_3"; 0 and what is no signal: the number.
std::string signal_name(int number);
int signal_named(std::string_view name);  // "SIGPIPE" or "PIPE", any case; 0: no signal
// [INT TERM], ~[HUP], [] as strace spells a 64-bit set.
std::string spell_signal_set(std::uint64_t bits);

}  // namespace tcpwhy::calls
