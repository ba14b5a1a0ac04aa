#include "trace/counter_sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace tcpwhy::trace {
namespace {

struct CounterFile {
  std::string_view path;
  std::string_view prefix;  // of both lines: names, then values
};
// /proc/net is /proc/self/net: the namespace of the *process*, not of this thread (proc_net(5)); hence thread-self.
constexpr CounterFile counter_files[] = {
    {"/proc/thread-self/net/snmp", "Tcp:"},
    {"/proc/thread-self/net/netstat", "TcpExt:"},
};

// Settings that stand among the counters (RFC 4022).
constexpr std::array<std::string_view, 4> settings = {"Tcp.RtoAlgorithm", "Tcp.RtoMin", "Tcp.RtoMax", "Tcp.MaxConn"};

// The next line of `text` that begins with `prefix`, without it; removes everything up to its end. Empty: none.
std::string_view next_line(std::string_view& text, std::string_view prefix) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(prefix)) return line.substr(prefix.size());
  }
  return {};
}

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

std::vector<std::string> counter_names(std::string_view line, std::string_view prefix) {
  const std::string group(prefix.substr(0, prefix.size() - 1));
  std::vector<std::string> names;
  for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
    std::string name = group + "." + std::string(word);
    if (std::ranges::find(settings, name) != settings.end()) name.clear();
    names.push_back(std::move(name));
  }
  return names;
}

base::Status unreadable(std::string_view path, const char* why) {
  return base::fail(base::ErrorKind::system, std::string(path) + ": " + why);
}

// The whole file as it is now. seq_file makes it anew for a read from offset 0.
base::Status read_whole(int fd, std::string_view path, std::string& text) {
  if (text.size() < 16384) text.resize(16384);
  std::size_t length = 0;
  while (true) {
    if (length == text.size()) text.resize(2 * text.size());
    const ssize_t got = ::pread(fd, text.data() + length, text.size() - length, static_cast<off_t>(length));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno(std::string(path));
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  text.resize(length);
  return {};
}

}  // namespace

base::Result<CounterSampler> CounterSampler::open(std::string host) {
  CounterSampler sampler;
  sampler.host_ = std::move(host);
  for (const CounterFile& file : counter_files) {
    Source source;
    source.path = file.path;
    source.prefix = file.prefix;
    source.fd.reset(::open(file.path.data(), O_RDONLY | O_CLOEXEC));
    if (!source.fd.valid())
      return base::fail_errno("cannot open " + std::string(file.path), errno, "is /proc mounted?");
    if (auto done = sampler.read(source, source.values); !done) return std::unexpected(done.error());
    sampler.sources_.push_back(std::move(source));
  }
  sampler.previous_ = base::wall_now();
  return sampler;
}

base::Status CounterSampler::read(Source& source, std::vector<std::int64_t>& values) {
  if (auto done = read_whole(source.fd.get(), source.path, buffer_); !done) return done;
  std::string_view text = buffer_;
  const std::string_view name_line = next_line(text, source.prefix);
  std::string_view value_line = next_line(text, source.prefix);
  if (source.names.empty()) source.names = counter_names(name_line, source.prefix);
  values.clear();
  for (auto word = next_word(value_line); !word.empty(); word = next_word(value_line)) {
    std::int64_t value = 0;
    if (std::from_chars(word.data(), word.data() + word.size(), value).ec != std::errc{})
      return unreadable(source.path, "a counter is not a number");
    values.push_back(value);
  }
  if (values.empty() || values.size() != source.names.size())
    return unreadable(source.path, "the lines of names and of values do not match");
  return {};
}

base::Status CounterSampler::sample(std::vector<recording::Event>& events) {
  const base::WallTime begin = base::wall_now();
  const std::size_t first_new = events.size();
  std::vector<std::int64_t> now;
  for (Source& source : sources_) {
    if (auto done = read(source, now); !done) return done;
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (now[i] == source.values[i] || source.names[i].empty()) continue;
      events.push_back(
          {.at = {},
           .actor = {},
           .what = recording::CounterMoved{
               .name = source.names[i], .delta = now[i] - source.values[i], .host = host_, .not_before = previous_}});
    }
    source.values.swap(now);
  }
  const base::WallTime end = base::wall_now();
  for (std::size_t i = first_new; i < events.size(); ++i) events[i].at = end;
  // What moved between this begin and the read is told now or next time: only the begin is certain.
  previous_ = begin;
  return {};
}

}  // namespace tcpwhy::trace
