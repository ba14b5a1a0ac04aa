// What a system call does and what it was asked for, as values: what rules, rows and views judge by. Its spelling is for people to read;
// that a payload holds "MSG_NOSIGNAL" says nothing about the call that sends it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "calls/memory.h"

namespace tcpwhy::calls {

struct CallView;
// Appends to `out`.
using Speller = void(const CallView&, std::string& out);

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
  unshares,         // unshare(CLONE_FILES): as forks, but the other holder is another thread of the process
  executes,
  ends,
  uses_ring,
};
inline constexpr std::size_t effects = static_cast<std::size_t>(Effect::uses_ring) + 1;

// It opens a connection or gets ready to.
constexpr bool is_opening(Effect effect) {
  return effect == Effect::makes_socket || effect == Effect::binds || effect == Effect::listens ||
         effect == Effect::accepts || effect == Effect::connects;
}

// Where a call says how many bytes it offers or has room for: in that argument; or in what an array of struct iovec, or a struct msghdr, at
// argument 1 holds in all.
enum class ByteCount : std::int8_t { none = -1, vectors = -2, message = -3 };

// The most pieces of memory of a row. The first ones matter most: who can take only some, leaves out the last.
inline constexpr std::size_t most_pieces = 6;

// One call by its name, as strace has it; an operation of io_uring by liburing's. All positions count from 0; -1: it has no such argument.
// Everything that the tracers, the spelling and the rules know of a call stands in its row.
struct CallRow {
  std::string_view name;
  Effect effect = Effect::none;

  // How its spelling is read (meaning_of()).
  std::int8_t message_flags = -1;  // MSG_*
  bool takes_message = false;      // struct msghdr, which may carry descriptors (unix(7), SCM_RIGHTS)
  bool counts_messages = false;    // its result: the bytes stand in the messages

  // What it does with descriptors.
  std::int8_t fd_argument = -1;
  std::int8_t second_fd_argument = -1;  // sendfile, splice, dup2; with fd_range: the last one
  bool fd_range = false;                // close_range: all descriptors from fd_argument's to second_fd_argument's
  bool makes_descriptor = false;        // its result is a new one
  bool closes_another = false;          // dup2(), dup3(): what the second descriptor was
  bool takes_from_first = false;        // splice(): of its first descriptor it receives
  bool may_wait = false;                // for the peer, or for a program, as a rule

  // As a system call of this machine's architecture. -1: it has none of that name (an operation of io_uring, poll() on arm64), or the
  // tracers let it be.
  long number = -1;
  std::uint8_t arguments = 0;  // how many it takes
  // Recorded only if (one of) its descriptor(s) is a TCP socket; false: always. A call that has no descriptor and still is only_on_tcp
  // (socket) is decided by its arguments: makes_tcp_socket().
  bool only_on_tcp = true;
  bool wants_stack = false;  // the program's own call stack is taken: opening, shutting, closing
  // It comes by the thousand, and its memory says at its return what it said at its entry: both are told at once, then.
  bool told_at_return = false;
  // A recorder inside the traced process may record it (trace/ptrace/inside): it neither moves descriptors about nor passes them on.
  bool recorded_inside = false;
  bool writes_over_arguments = false;  // what it was asked is no longer there when it comes back

  // How it is spelled (spelling.h): what is known when it is entered, and what it has handed back. Null: nothing.
  Speller* enter = nullptr;
  Speller* leave = nullptr;
  ByteCount byte_count = ByteCount::none;
  // The memory that its spellers ask for.
  std::array<Piece, most_pieces> pieces{};
  std::uint8_t piece_count = 0;

  [[nodiscard]] constexpr bool is_traced() const { return number >= 0; }
  // Its result is the descriptor of a socket that none of its arguments names.
  [[nodiscard]] constexpr bool brings_socket() const {
    return effect == Effect::makes_socket || effect == Effect::accepts ||
           (effect == Effect::duplicates && fd_argument < 0);
  }
  // accept(), recvfrom(), getsockopt(): an address or an option, and its length, where it is asked for.
  [[nodiscard]] constexpr bool hands_back_value() const {
    return std::ranges::any_of(std::span(pieces).first(piece_count), [](const Piece& piece) {
      return piece.when == Piece::When::exit && piece.shape == Piece::Shape::value_length;
    });
  }
  // close_range(), execve(): descriptors that no argument names.
  [[nodiscard]] constexpr bool closes_several() const { return fd_range || effect == Effect::executes; }
  // One descriptor or more are no more: its own, another, several.
  [[nodiscard]] constexpr bool is_closing() const {
    return effect == Effect::closes || closes_another || closes_several();
  }
};
std::span<const CallRow> call_table();
// The rows that the tracers record: this machine's system calls.
inline auto traced_calls() { return call_table() | std::views::filter(&CallRow::is_traced); }
// Null: a call that isn't in the table.
const CallRow* find_call(std::string_view name);
// The row that the tracers record a system call by; null: none. Constant time.
const CallRow* find_call(long number);
Effect effect_of(std::string_view name);
// socket(family, type, protocol): AF_INET or AF_INET6, SOCK_STREAM whatever its flags, protocol 0 or IPPROTO_TCP; or IPPROTO_MPTCP, whose
// sockets are not followed any further, which only this call can tell.
bool makes_tcp_socket(std::uint64_t family, std::uint64_t type, std::uint64_t protocol);

// --- What it was asked for, by effect --------------------------------------------------------------------------------

struct Transfer {           // sends, receives
  std::uint64_t flags = 0;  // MSG_*
  bool carries_descriptors =
      false;  // a control message brings or takes some: nothing moves on the socket that it acts on
  std::optional<std::uint64_t> message_bytes;  // counts_messages: what they brought or took in all
  std::optional<std::uint64_t> last_message_bytes;

  [[nodiscard]] bool has(std::uint64_t flag) const { return (flags & flag) != 0; }
};

struct NewSocket {  // makes_socket
  std::uint64_t family = 0, protocol = 0;
};

struct Address {  // binds, connects
  std::uint64_t family = 0;
  std::optional<std::uint16_t> port;  // that was asked for; 0: any. Absent: not told, or a family without ports
};

// listen(2). As it was asked for: what is negative or above net.core.somaxconn, the kernel takes for that.
struct Listening {  // listens
  std::int64_t backlog = 0;
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

using Value =
    std::variant<std::monostate, Transfer, NewSocket, Address, Listening, Option, Shutdown, SignalAction, SignalMask>;

struct Meaning {
  const CallRow* row = nullptr;  // null: not in the table
  Effect effect = Effect::none;  // its row's; of fcntl(F_DUPFD) `duplicates`, of clone(CLONE_FILES) and of
                                 // unshare() without it `none`
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
  [[nodiscard]] bool is_closing() const { return row != nullptr && row->is_closing(); }
};

// From strace's spelling: `arguments` without the parentheses, `...` for what comes back; `handed_back`: that ("" if nothing did, or the
// call has not returned). What stands in quotes, where payload and paths are, is not looked at. Never fails: what can't be read stays as it
// is in an empty value. `fd`: which of its descriptors it is asked about; absent: not known, or it has one.
Meaning meaning_of(std::string_view name, std::string_view arguments, std::string_view handed_back,
                   std::optional<std::int32_t> fd = {});

}  // namespace tcpwhy::calls
