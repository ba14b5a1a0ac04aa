#include "trace/stacks/symbol_worker.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "confine/confine.h"
#include "trace/stacks/image.h"
#include "trace/stacks/symbol_messages.h"

namespace tcpwhy::trace::symbols {
namespace {

constexpr rlim_t most_memory = rlim_t{4} << 30;  // debug information of gigabytes is mapped, not read
constexpr rlim_t most_seconds = 120;             // of a processor, in all

void limit(__rlimit_resource what, rlim_t most) {
  rlimit now{};
  if (::getrlimit(what, &now) != 0) return;
  now.rlim_max = std::min(now.rlim_max, most);
  now.rlim_cur = now.rlim_max;
  ::setrlimit(what, &now);
}

void be_harmless() {
  ::prctl(PR_SET_NAME, "tcpwhy-symbols");
  if (confine::has_walls) limit(RLIMIT_AS, most_memory);  // sanitizers map terabytes
  limit(RLIMIT_CPU, most_seconds);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, RLIM_INFINITY);  // as many as it may
  // Where memory is short, this process is the one to go.
  if (const base::UniqueFd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)); score.valid())
      [[maybe_unused]]
    const ssize_t written = ::write(score.get(), "1000", 4);
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGPROF}) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_DUMPABLE, 0);  // no core of it, and nobody else of its user looks into it
  if (!confine::enter({.leave = confine::Leave::messages})) ::_exit(1);
}

void allow_processor_time(int seconds) {
  const itimerval time{.it_interval = {}, .it_value = {.tv_sec = seconds, .tv_usec = 0}};
  ::setitimer(ITIMER_PROF, &time, nullptr);
}

class Server {
 public:
  explicit Server(base::UniqueFd socket) : socket_(std::move(socket)) {}

  // False: the other end is gone, or says what makes no sense.
  bool answer_one() {
    auto message = receive_message(socket_.get(), WithDescriptors::yes);
    if (!message) return false;
    Reader reader(message->bytes);
    const auto kind = reader.take<Kind>();
    if (kind == Kind::file) return take_file(reader, std::move(message->fd));
    if (kind == Kind::forget_image) return forget(reader);
    if (kind == Kind::unwind) return unwind(reader);
    return false;
  }

 private:
  struct Known {
    std::vector<Image::File> files;  // until the first question
    std::unique_ptr<Image> image;
  };

  bool take_file(Reader& reader, base::UniqueFd fd) {
    const auto head = reader.take<FileHead>();
    if (!head || !fd.valid()) return false;
    const auto path = reader.take_text(reader.rest().size());
    Mapping mapping{.start = head->start, .length = head->length, .offset = head->offset, .path = std::string(*path)};
    mapping.is_program = head->is_program != 0;
    mapping.interpreter = head->interpreter;
    images_[head->image].files.push_back(
        {std::move(mapping), static_cast<std::int32_t>(head->index), std::move(fd), head->is_loader != 0});
    return true;
  }

  bool forget(Reader& reader) {
    const auto head = reader.take<ImageHead>();
    if (head) images_.erase(head->image);
    return head.has_value();
  }

  bool unwind(Reader& reader) {
    const auto head = reader.take<UnwindHead>();
    if (!head) return false;
    allow_processor_time(most_seconds_a_question);
    last_told_ = -1;
    Known& known = images_[head->image];
    if (!known.image)
      known.image = Image::of(std::move(known.files),
                              {.reading = [this](std::int32_t index) { tell_reading(index); },
                               .find_debug_file = [this](std::span<const std::uint8_t> id) { return ask_for(id); }});
    if (!known.image) return false;
    Registers registers;
    registers.dwarf = head->registers;
    const auto bytes = reader.rest();
    const auto frames = frames_of(*known.image, {&registers, bytes, head->stack_address}, head->most_frames);
    allow_processor_time(0);
    return send_message(socket_.get(), frames.bytes());
  }

  static Writer frames_of(Image& image, const Image::Stack& stack, std::size_t most) {
    Writer answer(Kind::frames);
    std::size_t count = 0;
    for (const Image::Step& step : image.walk(stack, most))
      for (const Image::PlacedFrame& placed : image.frames_at(step))
        if (count++ < most) put(placed, answer);
    return answer;
  }

  static void put(const Image::PlacedFrame& placed, Writer& answer) {
    const Frame& frame = placed.frame;
    const auto short_enough = [](const std::string& text) { return std::string_view(text).substr(0, most_text); };
    const std::string_view function = short_enough(frame.function), file = short_enough(frame.file);
    answer.put(FrameHead{.address = frame.address,
                         .offset = frame.offset,
                         .module = placed.module,
                         .line = frame.line,
                         .function_bytes = static_cast<std::uint16_t>(function.size()),
                         .file_bytes = static_cast<std::uint16_t>(file.size())});
    answer.put_text(function);
    answer.put_text(file);
  }

  void tell_reading(std::int32_t index) {
    if (index < 0 || index == std::exchange(last_told_, index)) return;
    Writer message(Kind::reading);
    message.put(ReadingHead{static_cast<std::uint32_t>(index)});
    if (!send_message(socket_.get(), message.bytes())) ::_exit(0);
  }

  base::UniqueFd ask_for(std::span<const std::uint8_t> build_id) {
    Writer message(Kind::want_debug_file);
    message.put_bytes(build_id.first(std::min(build_id.size(), most_text)));
    if (!send_message(socket_.get(), message.bytes())) ::_exit(0);
    auto answer = receive_message(socket_.get(), WithDescriptors::yes);
    if (!answer || Reader(answer->bytes).take<Kind>() != Kind::debug_file) ::_exit(0);
    return std::move(answer->fd);
  }

  base::UniqueFd socket_;
  std::map<std::uint32_t, Known> images_;
  std::int32_t last_told_ = -1;
};

}  // namespace

void serve(base::UniqueFd socket) {
  be_harmless();
  Server server(std::move(socket));
  while (server.answer_one()) {
  }
  ::_exit(0);
}

}  // namespace tcpwhy::trace::symbols
