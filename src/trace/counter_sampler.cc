#include "trace/counter_sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/format.h"
#include "trace/proc_text.h"

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

std::vector<std::string> counter_names(const std::vector<std::string_view>& words, std::string_view prefix) {
  const std::string group(prefix.substr(0, prefix.size() - 1));
  std::vector<std::string> names;
  for (const auto word : words) {
    std::string name = group + "." + std::string(word);
    if (std::ranges::find(settings, name) != settings.end()) name.clear();
    names.push_back(std::move(name));
  }
  return names;
}

base::Status unreadable(std::string_view path, const base::Text& why) {
  return base::fail(base::ErrorKind::system, base::format({"{}: {}", "{}：{}"}, path, why));
}

// The whole file as it is now. seq_file makes it anew for a read from offset 0.
base::Status read_whole(int fd, std::string_view path, std::string& text) {
  if (text.size() < 16384) text.resize(16384);
  std::size_t length = 0;
  while (true) {
    if (length == text.size()) text.resize(2 * text.size());
    const ssize_t got = ::pread(fd, text.data() + length, text.size() - length, static_cast<off_t>(length));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno(base::both(std::string(path)));
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
      return base::fail_errno(base::format({"cannot open {}", "无法打开 {}"}, file.path), errno,
                              {"is /proc mounted?", "/proc 挂载了吗？"});
    if (auto done = sampler.read(source, source.values); !done) return std::unexpected(done.error());
    sampler.sources_.push_back(std::move(source));
  }
  sampler.previous_ = base::wall_now();
  return sampler;
}

base::Status CounterSampler::read(Source& source, std::vector<std::int64_t>& values) {
  if (auto done = read_whole(source.fd.get(), source.path, buffer_); !done) return done;
  auto lines = counter_lines(buffer_, source.prefix);
  if (lines && source.names.empty()) source.names = counter_names(lines->names, source.prefix);
  if (!lines || lines->values.size() != source.names.size())
    return unreadable(source.path, {"the lines of names and of values do not match", "名称行与数值行不匹配"});
  values = std::move(lines->values);
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
