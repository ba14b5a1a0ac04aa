// What a system call does and what it was asked for, as values: what rules, rows and views judge by. Its spelling is for people to read;
// that a payload holds "MSG_NOSIGNAL" says nothing about the call that sends it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

namespace tcpwhy::calls {

// What it does to the descriptor or the process that it acts on.
enum class Effect : std::uint8_t {
  none,  // nothing that matters to a connection, or not known
  makes_socket,
  binds,
  listens,
  accepts,
  connects,
  sends,
  receives,
  shuts,
  closes,
  duplicates,  // another descriptor for what is open: dup(), fcntl(F_DUPFD), pidfd_getfd()
  sets_option,
  gets_option,
  asks_address,  // getsockname(), getpeername()
  controls,      // fcntl(), ioctl()
  waits,
  changes_signals,  // what becomes of a signal: its action, the mask
  forks,            // what makes another holder of all that is open; threads share it
  executes,
  ends,
  uses_ring,
};
inline constexpr std::size_t effects = static_cast<std::size_t>(Effect::uses_ring) + 1;

// One call by its name, as strace has it; an operation of io_uring by liburing's. All positions count from 0; -1: it has no such argument.
struct CallRow {
  std::string_view name;
  Effect effect = Effect::none;
  std::int8_t message_flags = -1;  // MSG_*
  bool takes_message = false;      // struct msghdr, which may carry descriptors (unix(7), SCM_RIGHTS)
  bool counts_messages = false;    // its result: the bytes stand in the messages
  bool closes_another = false;     // dup2(), dup3(): what the second descriptor was
};
std::span<const CallRow> call_table();
// Null: a call that isn't in the table.
const CallRow* find_call(std::string_view name);
Effect effect_of(std::string_view name);

// --- What it was asked for, by effect --------------------------------------------------------------------------------

struct Transfer {           // sends, receives
  std::uint64_t flags = 0;  // MSG_*
  bool carries_descriptors =
      false;  // a control message brings or takes some: nothing moves on the socket that it acts on
  std::optional<std::uint64_t> message_bytes;  // counts_messages: what they brought or took in all

  [[nodiscard]] bool has(std::uint64_t flag) const { return (flags & flag) != 0; }
};

struct NewSocket {  // makes_socket
  std::uint64_t family = 0, protocol = 0;
};

struct Address {  // binds, connects
  std::uint64_t family = 0;
};

// setsockopt(2), getsockopt(2).
struct Option {
  std::uint64_t level = 0, number = 0;
  // What was set, or handed back: a number; of struct linger l_onoff. Absent: not told, or another kind of value.
  std::optional<std::int64_t> value;
  std::optional<std::int64_t> linger_seconds;

  [[nodiscard]] bool is(std::uint64_t its_level, std::uint64_t its_number) const {
    return level == its_level && number == its_number;
  }
};

struct Shutdown {         // shuts
  std::uint64_t how = 0;  // SHUT_RD, SHUT_WR, SHUT_RDWR

  [[nodiscard]] bool receiving() const;
  [[nodiscard]] bool sending() const;
};

struct SignalAction {  // sigaction(2)
  enum class Fate : std::uint8_t { unchanged, by_default, ignored, handled };
  int signal = 0;
  Fate fate = Fate::unchanged;
};

struct SignalMask {  // sigprocmask(2)
  enum class Change : std::uint8_t { none, block, unblock, set };
  Change change = Change::none;
  std::uint64_t signals = 0;  // bit N - 1: signal N

  [[nodiscard]] bool names(int signal) const {
    return signal >= 1 && signal <= 64 && (signals >> (signal - 1) & 1) != 0;
  }
};

using Value = std::variant<std::monostate, Transfer, NewSocket, Address, Option, Shutdown, SignalAction, SignalMask>;

struct Meaning {
  const CallRow* row = nullptr;  // null: not in the table
  Effect effect = Effect::none;  // its row's; of fcntl(F_DUPFD) `duplicates`, of clone(CLONE_FILES) `none`
  Value value;

  template <class T>
  [[nodiscard]] const T* as() const {
    return std::get_if<T>(&value);
  }
  // Of a transfer that has that flag.
  [[nodiscard]] bool has(std::uint64_t flag) const;
  [[nodiscard]] bool carries_descriptors() const;
  [[nodiscard]] bool is_option(std::uint64_t level, std::uint64_t number) const;
  [[nodiscard]] bool closes_another() const { return row != nullptr && row->closes_another; }
};

// From strace's spelling: `arguments` without the parentheses, `...` for what comes back; `handed_back`: that ("" if nothing did, or the
// call has not returned). What stands in quotes, where payload and paths are, is not looked at. Never fails: what can't be read stays as it
// is in an empty value.
Meaning meaning_of(std::string_view name, std::string_view arguments, std::string_view handed_back);

}  // namespace tcpwhy::calls
