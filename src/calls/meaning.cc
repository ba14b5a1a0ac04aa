#include <sched.h>
#include <sys/socket.h>

#include <charconv>
#include <string>
#include <vector>

#include "calls/call.h"
#include "calls/names.h"
#include "calls/socket_options.h"
#include "calls/spelling/nesting.h"

namespace tcpwhy::calls {
namespace {

// Without what stands in quotes, escaped as strace does it: payload, paths, names.
std::string without_strings(std::string_view text) {
  std::string left;
  left.reserve(text.size());
  Nesting nesting;
  for (const char c : text) {
    const bool inside = nesting.quoted();
    nesting.step(c);
    if (!inside || !nesting.quoted()) left += c;
  }
  return left;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// At the commas that stand in no bracket.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  Nesting nesting;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    nesting.step(text[i]);
    if (text[i] != ',' || !nesting.between_arguments()) continue;
    parts.push_back(trimmed(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  if (const auto last = trimmed(text.substr(begin)); !last.empty() || !parts.empty()) parts.push_back(last);
  return parts;
}

std::optional<std::int64_t> number_of(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const int base = text.starts_with("0x") ? 16 : 10;
  if (base == 16) text.remove_prefix(2);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{}) return std::nullopt;
  return negative ? -static_cast<std::int64_t>(number) : static_cast<std::int64_t>(number);
}

// A name of the table, or a number: "SOL_TCP", "0x1e /* SOL_??? */".
std::optional<std::uint64_t> value_of(NamedValues names, std::string_view word) {
  for (const NamedValue& named : names)
    if (named.name == word) return named.value;
  const auto number = number_of(word);
  return number ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
}

std::uint64_t flags_of(NamedValues names, std::string_view words) {
  std::uint64_t flags = 0;
  while (!words.empty()) {
    const auto bar = words.find('|');
    flags |= value_of(names, trimmed(words.substr(0, bar))).value_or(0);
    if (bar == std::string_view::npos) break;
    words.remove_prefix(bar + 1);
  }
  return flags;
}

// What stands behind "NAME=" in a structure, up to the comma or its end.
std::optional<std::string_view> field(std::string_view structure, std::string_view name) {
  for (auto at = structure.find(name); at != std::string_view::npos; at = structure.find(name, at + 1)) {
    const std::string_view behind = structure.substr(at + name.size());
    const bool whole = at == 0 || structure[at - 1] == '{' || structure[at - 1] == ' ';
    if (whole && behind.starts_with('=')) return behind.substr(1, behind.find_first_of(",}", 1) - 1);
  }
  return std::nullopt;
}

// "sin_port=htons(80)" of an IPv4 address, "sin6_port=htons(80)" of an IPv6 one.
std::optional<std::uint16_t> port_of(std::string_view address) {
  constexpr std::string_view order = "htons(";
  auto port = field(address, "sin_port");
  if (!port) port = field(address, "sin6_port");
  if (!port || !port->starts_with(order)) return std::nullopt;
  const auto number = number_of(port->substr(order.size(), port->find(')') - order.size()));
  return number && *number >= 0 && *number <= UINT16_MAX ? std::optional(static_cast<std::uint16_t>(*number))
                                                         : std::nullopt;
}

// A view of a call's arguments, by position.
class Arguments {
 public:
  explicit Arguments(std::string_view text) : text_(without_strings(text)), parts_(split(text_)) {}
  [[nodiscard]] std::string_view operator[](std::size_t i) const {
    return i < parts_.size() ? parts_[i] : std::string_view();
  }
  [[nodiscard]] std::string_view whole() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string_view> parts_;
};

bool has_rights(std::string_view structures) {
  return structures.find("cmsg_type=SCM_RIGHTS") != std::string_view::npos;
}

std::size_t count_of(std::string_view text, std::string_view word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

void count_messages(const CallRow& row, std::string_view structures, Transfer& transfer) {
  constexpr std::string_view length = "msg_len=";
  // What recvmmsg() hands back are the messages that it has filled; the lengths of some may be left out, as those may that nobody took along.
  const bool all_told =
      count_of(structures, length) == count_of(structures, "msg_hdr=") && !structures.contains(", ...");
  if (row.effect == Effect::receives && !all_told) return;
  for (auto at = structures.find(length); at != std::string_view::npos; at = structures.find(length, at + 1))
    if (const auto bytes = number_of(structures.substr(at + length.size())); bytes && *bytes >= 0) {
      transfer.last_message_bytes = static_cast<std::uint64_t>(*bytes);
      transfer.message_bytes = transfer.message_bytes.value_or(0) + *transfer.last_message_bytes;
    }
}

Transfer transfer_of(const CallRow& row, const Arguments& asked, const Arguments& back) {
  Transfer transfer;
  if (row.message_flags >= 0)
    transfer.flags = flags_of(message_flags(), asked[static_cast<std::size_t>(row.message_flags)]);
  if (row.takes_message) transfer.carries_descriptors = has_rights(asked.whole()) || has_rights(back.whole());
  if (row.counts_messages) count_messages(row, back.whole(), transfer);
  return transfer;
}

// "[1]", "{l_onoff=1, l_linger=0}", of SO_ERROR "[ECONNRESET]".
void read_option_value(std::string_view text, Option& option) {
  if (const auto on = field(text, "l_onoff")) {
    option.value = number_of(*on);
    if (const auto seconds = field(text, "l_linger")) option.linger_seconds = number_of(*seconds);
    return;
  }
  if (!text.starts_with('[')) return;
  text.remove_prefix(1);
  text = text.substr(0, text.find(']'));
  option.value = number_of(text);
  if (const int error = error_named(text); !option.value && error != 0) option.value = error;
}

Option option_of(const CallRow& row, const Arguments& asked, const Arguments& back) {
  Option option;
  auto level = value_of(option_levels(), asked[1]);
  if (!level) level = value_of(ip_protocols(), asked[1]);
  option.level = level.value_or(UINT64_MAX);
  const SocketOption* named = find_option(asked[2]);
  const bool of_level = named != nullptr && named->level == option.level;
  option.number = of_level ? named->number : value_of({}, asked[2]).value_or(UINT64_MAX);
  read_option_value(row.effect == Effect::sets_option ? asked[3] : back[0], option);
  return option;
}

SignalAction action_of(const Arguments& asked) {
  SignalAction action{.signal = signal_named(asked[0])};
  const auto handler = asked[1].starts_with('{') ? field(asked[1], "sa_handler") : std::optional(asked[1]);
  if (!handler || *handler == "NULL" || handler->empty()) return action;
  action.fate = *handler == "SIG_IGN"   ? SignalAction::Fate::ignored
                : *handler == "SIG_DFL" ? SignalAction::Fate::by_default
                                        : SignalAction::Fate::handled;
  return action;
}

// "[PIPE INT]", "~[PIPE]".
std::uint64_t set_of(std::string_view text) {
  const bool inverted = text.starts_with('~');
  if (inverted) text.remove_prefix(1);
  if (!text.starts_with('[')) return 0;
  text = text.substr(1, text.find(']') - 1);
  std::uint64_t set = 0;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    if (const int signal = signal_named(text.substr(0, blank)); signal > 0) set |= std::uint64_t{1} << (signal - 1);
    if (blank == std::string_view::npos) break;
    text.remove_prefix(blank + 1);
  }
  return inverted ? ~set : set;
}

SignalMask mask_of(const Arguments& asked) {
  using Change = SignalMask::Change;
  SignalMask mask;
  if (asked[1] == "NULL") return mask;
  mask.change = asked[0] == "SIG_BLOCK"     ? Change::block
                : asked[0] == "SIG_UNBLOCK" ? Change::unblock
                : asked[0] == "SIG_SETMASK" ? Change::set
                                            : Change::none;
  mask.signals = set_of(asked[1]);
  return mask;
}

// dup2(2): "If oldfd is a valid file descriptor, and newfd has the same value as oldfd, then dup2() does nothing, and returns newfd." Asked
// about the second number, where that is what is a socket, it closes one and makes no copy of it.
Effect duplicating(const CallRow& row, const Arguments& asked, std::optional<std::int32_t> fd) {
  if (!row.closes_another) return Effect::duplicates;
  const auto from = number_of(asked[static_cast<std::size_t>(row.fd_argument)]);
  const auto over = number_of(asked[static_cast<std::size_t>(row.second_fd_argument)]);
  if (!from || !over) return Effect::duplicates;
  if (*from == *over) return Effect::none;
  return fd && *fd == *over ? Effect::closes : Effect::duplicates;
}

// clone(2): with CLONE_FILES, as threads are made, no descriptor is duplicated.
bool shares_descriptors(std::string_view arguments) {
  const auto flags = field(arguments, "flags");
  return flags && (flags_of(clone_flags(), *flags) & CLONE_FILES) != 0;
}

bool is_mask(std::string_view name) { return name.ends_with("sigprocmask"); }

}  // namespace

bool Shutdown::receiving() const { return how == SHUT_RD || how == SHUT_RDWR; }
bool Shutdown::sending() const { return how == SHUT_WR || how == SHUT_RDWR; }

bool Meaning::has(std::uint64_t flag) const {
  const auto* transfer = as<Transfer>();
  return transfer != nullptr && transfer->has(flag);
}

bool Meaning::carries_descriptors() const {
  const auto* transfer = as<Transfer>();
  return transfer != nullptr && transfer->carries_descriptors;
}

bool Meaning::is_option(std::uint64_t level, std::uint64_t number) const {
  const auto* option = as<Option>();
  return option != nullptr && option->is(level, number);
}

Meaning meaning_of(std::string_view name, std::string_view arguments, std::string_view handed_back,
                   std::optional<std::int32_t> fd) {
  Meaning meaning;
  meaning.row = find_call(name);
  if (meaning.row == nullptr) return meaning;
  const CallRow& row = *meaning.row;
  meaning.effect = row.effect;
  switch (row.effect) {
    case Effect::sends:
    case Effect::receives:
      if (row.message_flags >= 0 || row.takes_message)
        meaning.value = transfer_of(row, Arguments(arguments), Arguments(row.takes_message ? handed_back : ""));
      else
        meaning.value = Transfer{};
      if (row.takes_from_first && fd &&
          number_of(Arguments(arguments)[static_cast<std::size_t>(row.fd_argument)]) == *fd)
        meaning.effect = Effect::receives;
      break;
    case Effect::makes_socket: {
      const Arguments asked(arguments);
      meaning.value =
          NewSocket{value_of(address_families(), asked[0]).value_or(0), value_of(ip_protocols(), asked[2]).value_or(0)};
      break;
    }
    case Effect::binds:
    case Effect::connects: {
      const Arguments asked(arguments);
      const auto family = field(asked[1], "sa_family");
      if (family)
        meaning.value = Address{value_of(address_families(), *family).value_or(UINT64_MAX), port_of(asked[1])};
      break;
    }
    case Effect::listens:
      if (const auto backlog = number_of(Arguments(arguments)[1])) meaning.value = Listening{*backlog};
      break;
    case Effect::sets_option:
    case Effect::gets_option: meaning.value = option_of(row, Arguments(arguments), Arguments(handed_back)); break;
    case Effect::shuts:
      meaning.value = Shutdown{value_of(shutdown_ways(), Arguments(arguments)[1]).value_or(UINT64_MAX)};
      break;
    case Effect::controls:
      if (Arguments(arguments)[1].starts_with("F_DUPFD")) meaning.effect = Effect::duplicates;
      break;
    case Effect::duplicates: meaning.effect = duplicating(row, Arguments(arguments), fd); break;
    case Effect::forks:
      if (shares_descriptors(Arguments(arguments).whole())) meaning.effect = Effect::none;
      break;
    case Effect::unshares:
      if ((flags_of(unshare_flags(), Arguments(arguments)[0]) & CLONE_FILES) == 0) meaning.effect = Effect::none;
      break;
    case Effect::changes_signals:
      if (is_mask(name))
        meaning.value = mask_of(Arguments(arguments));
      else
        meaning.value = action_of(Arguments(arguments));
      break;
    default: break;
  }
  return meaning;
}

}  // namespace tcpwhy::calls
