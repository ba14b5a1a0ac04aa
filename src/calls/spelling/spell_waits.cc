// poll, select and epoll: what was asked, and what they answered.
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <iterator>

#include "calls/names.h"
#include "calls/spelling/spelling.h"

namespace tcpwhy::calls {
namespace {

// Packed on x86-64, and not elsewhere (linux/eventpoll.h).
constexpr std::size_t epoll_event_size = sizeof(epoll_event), epoll_data_at = offsetof(epoll_event, data);
constexpr std::uint64_t most_polled = 1024;  // of which those that are answered are looked for

std::string events_of(std::int16_t events) {
  return spell_flags(poll_events(), static_cast<std::uint16_t>(events), "POLL???");
}

void spell_asked(const CallView& call, std::string& out) {
  const std::uint64_t count = call.flags(1);
  if (call[0] == 0 || (count != 0 && !read_value<pollfd>(call.memory, call[0]))) {
    spell_pointer(call[0], out);
  } else {
    spell_array(count, out, [&](std::uint64_t i) {
      const std::uint64_t place = call[0] + i * sizeof(pollfd);
      const auto element = read_value<pollfd>(call.memory, place);
      if (!element)
        spell_pointer(place, out);
      else if (element->fd < 0)
        fmt::format_to(std::back_inserter(out), "{{fd={}}}", element->fd);
      else
        fmt::format_to(std::back_inserter(out), "{{fd={}, events={}}}", element->fd, events_of(element->events));
      return element.has_value();
    });
  }
  fmt::format_to(std::back_inserter(out), ", {}, ", count);
}

void spell_answered(const CallView& call, std::string& out) {
  const std::uint64_t count = std::min<std::uint64_t>(call.flags(1), most_polled);
  const auto bytes = call.memory.read(call[0], static_cast<std::size_t>(count) * sizeof(pollfd));
  bool first = true;
  std::size_t shown = 0;
  out += '[';
  for (std::size_t i = 0; (i + 1) * sizeof(pollfd) <= bytes.size(); ++i) {
    pollfd element;
    std::memcpy(&element, bytes.data() + i * sizeof(pollfd), sizeof element);
    if (element.fd < 0 || element.revents == 0) continue;
    if (!first) out += ", ";
    first = false;
    if (++shown > most_elements || out.size() > most_text) {
      out += "...";
      break;
    }
    fmt::format_to(std::back_inserter(out), "{{fd={}, revents={}}}", element.fd, events_of(element.revents));
  }
  out += ']';
}

// Descriptor sets: longs of bits (select(2)). FD_SETSIZE bits are looked at.
using FdBits = std::array<std::uint64_t, 16>;

std::optional<FdBits> read_set(const CallView& call, std::size_t argument) {
  const auto count = static_cast<std::size_t>(std::clamp(call.integer(0), 0, 1024));
  FdBits bits{};
  if (call[argument] == 0) return std::nullopt;
  const std::size_t size = (count + 63) / 64 * 8;
  const auto bytes = size == 0 ? std::vector<std::uint8_t>() : call.memory.read(call[argument], size);
  if (bytes.size() < size) return std::nullopt;
  if (size > 0) std::memcpy(bits.data(), bytes.data(), size);
  for (std::size_t fd = count; fd < size * 8; ++fd) bits[fd / 64] &= ~(std::uint64_t{1} << fd % 64);
  return bits;
}

void spell_set(const FdBits& bits, std::string& out) {
  out += '[';
  bool first = true;
  for (std::size_t fd = 0; fd < bits.size() * 64; ++fd) {
    if ((bits[fd / 64] >> fd % 64 & 1) == 0) continue;
    if (!first) out += ' ';
    first = false;
    fmt::format_to(std::back_inserter(out), "{}", fd);
  }
  out += ']';
}

void spell_sets(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}", call.integer(0));
  for (std::size_t argument = 1; argument <= 3; ++argument) {
    out += ", ";
    if (const auto bits = read_set(call, argument))
      spell_set(*bits, out);
    else
      spell_pointer(call[argument], out);
  }
  out += ", ";
}

void spell_ready_sets(const CallView& call, std::string_view fraction, std::string& out) {
  if (call.failed()) return;
  if (call.result == 0) {
    out += "Timeout";
    return;
  }
  constexpr std::string_view names[] = {"in ", "out ", "except "};
  for (std::size_t argument = 1; argument <= 3; ++argument) {
    const auto bits = read_set(call, argument);
    if (!bits || std::ranges::all_of(*bits, [](std::uint64_t word) { return word == 0; })) continue;
    if (!out.empty()) out += ", ";
    out += names[argument - 1];
    spell_set(*bits, out);
  }
  if (call[4] == 0) return;
  out += out.empty() ? "left " : ", left ";
  spell_time(call.memory, call[4], fraction, out);
}

bool spell_epoll_event(const Memory& memory, std::uint64_t address, std::string& out) {
  const auto bytes = address == 0 ? std::vector<std::uint8_t>() : memory.read(address, epoll_event_size);
  if (bytes.size() < epoll_event_size) {
    spell_pointer(address, out);
    return false;
  }
  std::uint32_t events = 0;
  std::uint64_t data = 0;
  std::memcpy(&events, bytes.data(), sizeof events);
  std::memcpy(&data, bytes.data() + epoll_data_at, sizeof data);
  fmt::format_to(std::back_inserter(out), "{{events={}, data={{u32={}, u64={}}}}}",
                 spell_flags(epoll_events(), events, "EPOLL???"), static_cast<std::uint32_t>(data), data);
  return true;
}

void spell_epoll_asked(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ..., {}, ", call.integer(0), call.integer(2));
}

// The mask that holds during the call, and its size, arguments 4 and 5.
void spell_mask_and_size(const CallView& call, std::size_t mask, std::string& out) {
  out += ", ";
  spell_signal_mask(call.memory, call[mask], out);
  fmt::format_to(std::back_inserter(out), ", {}", call[mask + 1]);
}

}  // namespace

void enter_poll(const CallView& call, std::string& out) {
  spell_asked(call, out);
  fmt::format_to(std::back_inserter(out), "{}", call.integer(2));
}

void return_poll(const CallView& call, std::string& out) {
  if (call.failed()) return;
  if (call.result == 0)
    out += "Timeout";
  else
    spell_answered(call, out);
}

void enter_ppoll(const CallView& call, std::string& out) {
  spell_asked(call, out);
  spell_time(call.memory, call[2], "nsec", out);
  spell_mask_and_size(call, 3, out);
}

void return_ppoll(const CallView& call, std::string& out) {
  return_poll(call, out);
  if (call.result <= 0 || call[2] == 0) return;
  out += ", left ";
  spell_time(call.memory, call[2], "nsec", out);
}

void enter_select(const CallView& call, std::string& out) {
  spell_sets(call, out);
  spell_time(call.memory, call[4], "usec", out);
}
void return_select(const CallView& call, std::string& out) { spell_ready_sets(call, "usec", out); }

void enter_pselect6(const CallView& call, std::string& out) {
  spell_sets(call, out);
  spell_time(call.memory, call[4], "nsec", out);
  out += ", ";
  const auto mask = read_value<std::array<std::uint64_t, 2>>(call.memory, call[5]);
  if (!mask) return spell_pointer(call[5], out);
  out += "{sigmask=";
  spell_signal_mask(call.memory, (*mask)[0], out);
  fmt::format_to(std::back_inserter(out), ", sigsetsize={}}}", (*mask)[1]);
}
void return_pselect6(const CallView& call, std::string& out) { spell_ready_sets(call, "nsec", out); }

void enter_epoll_create(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}", call.integer(0));
}
void enter_epoll_create1(const CallView& call, std::string& out) {
  out += spell_flags(epoll_create_flags(), call.flags(0), "EPOLL_???");
}

void enter_epoll_ctl(const CallView& call, std::string& out) {
  const std::uint32_t operation = call.flags(1);
  fmt::format_to(std::back_inserter(out), "{}, {}, {}, ", call.integer(0),
                 spell_value(epoll_operations(), operation, "EPOLL_CTL_???"), call.integer(2));
  if (operation == 1 /* EPOLL_CTL_ADD */ || operation == 3 /* EPOLL_CTL_MOD */)
    spell_epoll_event(call.memory, call[3], out);
  else
    spell_pointer(call[3], out);
}

void enter_epoll_wait(const CallView& call, std::string& out) {
  spell_epoll_asked(call, out);
  fmt::format_to(std::back_inserter(out), "{}", call.integer(3));
}
void enter_epoll_pwait(const CallView& call, std::string& out) {
  enter_epoll_wait(call, out);
  spell_mask_and_size(call, 4, out);
}
void enter_epoll_pwait2(const CallView& call, std::string& out) {
  spell_epoll_asked(call, out);
  spell_time(call.memory, call[3], "nsec", out);
  spell_mask_and_size(call, 4, out);
}

void return_epoll(const CallView& call, std::string& out) {
  if (call.failed()) return;
  spell_array(static_cast<std::uint64_t>(call.result), out,
              [&](std::uint64_t i) { return spell_epoll_event(call.memory, call[1] + i * epoll_event_size, out); });
}

}  // namespace tcpwhy::calls
