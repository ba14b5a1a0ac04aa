// Calls that make and replace processes, hand descriptors about, and set up rings.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/io_uring.h>
#include <linux/sched.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "calls/machine.h"
#include "calls/names.h"
#include "calls/spelling/spelling.h"

namespace tcpwhy::calls {
namespace {

constexpr std::uint64_t signal_bits = 0xff;  // CSIGNAL: the low byte of clone()'s flags

void spell_clone_flags(std::uint64_t flags, std::string& out) {
  const int signal = static_cast<int>(flags & signal_bits);
  const std::uint64_t rest = flags & ~signal_bits;
  if (rest != 0 || signal == 0) out += spell_flags(clone_flags(), rest, "CLONE_???");
  if (signal != 0) out += (rest != 0 ? "|" : "") + signal_name(signal);
}

// How many pointers stand before the null one; absent: not readable, or more than anybody has.
std::optional<std::size_t> count_pointers(const Memory& memory, std::uint64_t address) {
  constexpr std::size_t at_once = 64, most = 4096;
  for (std::size_t count = 0; count < most;) {
    const auto bytes = memory.read(address + count * sizeof(std::uint64_t), at_once * sizeof(std::uint64_t));
    if (bytes.size() < sizeof(std::uint64_t)) return std::nullopt;
    for (std::size_t i = 0; i + sizeof(std::uint64_t) <= bytes.size(); i += sizeof(std::uint64_t), ++count) {
      std::uint64_t pointer = 0;
      std::memcpy(&pointer, bytes.data() + i, sizeof pointer);
      if (pointer == 0) return count;
    }
  }
  return std::nullopt;
}

void spell_strings(const Memory& memory, std::uint64_t address, std::string& out) {
  const auto count = address == 0 ? std::nullopt : count_pointers(memory, address);
  if (!count) return spell_pointer(address, out);
  spell_array(*count, out, [&](std::uint64_t i) {
    const auto pointer = read_value<std::uint64_t>(memory, address + i * sizeof(std::uint64_t));
    spell_string(memory, pointer.value_or(0), out);
    return pointer.has_value();
  });
}

// The path at argument `first`, the arguments and the environment behind it.
void spell_program(const CallView& call, std::size_t first, std::string& out) {
  // A path is shown whole, as strace does; one that is longer than any may be (PATH_MAX) up to there.
  constexpr std::size_t most_path = 4096;
  const auto bytes = call[first] == 0 ? std::vector<std::uint8_t>() : call.memory.read(call[first], most_path);
  const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
  const bool longer = end == bytes.end() && bytes.size() == most_path;
  if (end == bytes.end() && !longer) {
    spell_pointer(call[first], out);
  } else {
    std::string path = "\"";
    for (auto at = bytes.begin(); at != end; ++at) {
      const auto c = static_cast<char>(*at);
      if (c == '"' || c == '\\') path += '\\';
      if (*at >= 0x20 && *at < 0x7f)
        path += c;
      else
        fmt::format_to(std::back_inserter(path), "\\{:03o}", *at);
    }
    out += path + (longer ? "\"..." : "\"");
  }
  out += ", ";
  spell_strings(call.memory, call[first + 1], out);
  out += ", ";
  spell_pointer(call[first + 2], out);
  if (call[first + 2] == 0) return;
  if (const auto count = count_pointers(call.memory, call[first + 2]))
    fmt::format_to(std::back_inserter(out), " /* {} var{} */", *count, *count == 1 ? "" : "s");
}

}  // namespace

// Flags, stack, parent_tid; what comes then depends on the machine.
void enter_clone(const CallView& call, std::string& out) {
  out += "child_stack=";
  spell_pointer(call[1], out);
  out += ", flags=";
  spell_clone_flags(call[0], out);
  if ((call[0] & (CLONE_PARENT_SETTID | CLONE_SETTLS | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) != 0) out += ", ...";
}

void return_clone(const CallView& call, std::string& out) {
  if ((call[0] & CLONE_PARENT_SETTID) != 0) {
    const auto number = call.failed() ? std::nullopt : read_value<std::int32_t>(call.memory, call[2]);
    if (number)
      fmt::format_to(std::back_inserter(out), "parent_tid=[{}]", *number);
    else
      fmt::format_to(std::back_inserter(out), "parent_tid={:#x}", call[2]);
  }
  if ((call[0] & CLONE_SETTLS) != 0)
    fmt::format_to(std::back_inserter(out), "{}tls={:#x}", out.empty() ? "" : ", ", call[machine::clone_tls]);
  if ((call[0] & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) != 0)
    fmt::format_to(std::back_inserter(out), "{}child_tidptr={:#x}", out.empty() ? "" : ", ",
                   call[machine::clone_child_tid]);
}

void enter_clone3(const CallView& call, std::string& out) {
  // CLONE_ARGS_SIZE_VER0
  struct Arguments {
    std::uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  };
  const auto arguments = read_value<Arguments>(call.memory, call[0]);
  if (!arguments) {
    spell_pointer(call[0], out);
  } else {
    out += "{flags=" + spell_flags(clone_flags(), arguments->flags, "CLONE_???");
    const auto pointer = [&](std::string_view name, std::uint64_t value) {
      fmt::format_to(std::back_inserter(out), ", {}=", name);
      spell_pointer(value, out);
    };
    if ((arguments->flags & CLONE_PIDFD) != 0) pointer("pidfd", arguments->pidfd);
    if ((arguments->flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) != 0)
      pointer("child_tid", arguments->child_tid);
    if ((arguments->flags & CLONE_PARENT_SETTID) != 0) pointer("parent_tid", arguments->parent_tid);
    const int signal = static_cast<int>(std::min<std::uint64_t>(arguments->exit_signal, signal_bits));
    out += ", exit_signal=" + signal_name(signal);
    pointer("stack", arguments->stack);
    fmt::format_to(std::back_inserter(out), ", stack_size={:#x}", arguments->stack_size);
    if ((arguments->flags & CLONE_SETTLS) != 0) pointer("tls", arguments->tls);
    out += '}';
  }
  fmt::format_to(std::back_inserter(out), ", {}", call[1]);
}

void enter_unshare(const CallView& call, std::string& out) {
  out += spell_flags(unshare_flags(), call[0], "CLONE_???");
}

void enter_execve(const CallView& call, std::string& out) { spell_program(call, 0, out); }

void enter_execveat(const CallView& call, std::string& out) {
  constexpr NamedValue at_flags[] = {{AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}, {AT_EMPTY_PATH, "AT_EMPTY_PATH"}};
  out += call.integer(0) == AT_FDCWD ? "AT_FDCWD" : std::to_string(call.integer(0));
  out += ", ";
  spell_program(call, 1, out);
  out += ", " + spell_flags(at_flags, call.flags(4), "AT_???");
}

void enter_pidfd_getfd(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, {}, {}", call.integer(0), call.integer(1),
                 call.flags(2) == 0 ? "0" : fmt::format("{:#x}", call.flags(2)));
}

void enter_io_uring_setup(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ...", call.flags(0));
}

void return_io_uring_setup(const CallView& call, std::string& out) {
  const auto parameters = call.failed() ? std::nullopt : read_value<io_uring_params>(call.memory, call[1]);
  if (!parameters) return;
  fmt::format_to(std::back_inserter(out), "{{flags={}, sq_entries={}, cq_entries={}, ...}}",
                 spell_flags(ring_setup_flags(), parameters->flags, "IORING_SETUP_???"), parameters->sq_entries,
                 parameters->cq_entries);
}

void enter_io_uring_enter(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, {}, {}, {}, ", call.integer(0), call.flags(1), call.flags(2),
                 spell_flags(ring_enter_flags(), call.flags(3), "IORING_ENTER_???"));
  spell_pointer(call[4], out);
  fmt::format_to(std::back_inserter(out), ", {}", call[5]);
}

}  // namespace tcpwhy::calls
