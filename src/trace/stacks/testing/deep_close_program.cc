// Closes descriptor 9999 some calls deep; the test finds each line by the mark that ends it.
//   (no argument)   in main()'s own thread
//   thread          in another thread
//   callback        with the C library's frames (qsort) in between
#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace shop {

// Large enough that its frame isn't a few words.
struct Buffer {
  char bytes[600];
};

// A frame of its own: the stores after the call keep it from being a tail call.
__attribute__((noinline)) int hang_up(volatile char* bytes, int fd) {
  const int result = close(fd);  // mark:hang_up
  bytes[0] = static_cast<char>(result);
  return result;
}

__attribute__((always_inline)) inline int finish(Buffer& buffer, int fd) {
  int result = hang_up(buffer.bytes, fd);  // mark:finish
  buffer.bytes[1] = static_cast<char>(result);
  return result;
}

__attribute__((noinline)) int serve(int fd, int depth) {
  Buffer buffer;
  std::memset(buffer.bytes, depth, sizeof buffer.bytes);
  int result = 0;
  if (depth > 0)
    result = serve(fd, depth - 1);  // mark:recursion
  else
    result = finish(buffer, fd);  // mark:serve
  asm volatile("" : : "r"(buffer.bytes) : "memory");
  return result + buffer.bytes[2];
}

}  // namespace shop

extern "C" void* worker(void*) {
  const int result = shop::serve(9999, 0);  // mark:worker
  asm volatile("" : : : "memory");
  return reinterpret_cast<void*>(static_cast<long>(result));
}

extern "C" int compare(const void*, const void*) {
  const int result = shop::serve(9999, 0);  // mark:compare
  asm volatile("" : : : "memory");
  return result;
}

int main(int count, char** words) {
  int result = 0;
  if (count > 1 && std::strcmp(words[1], "thread") == 0) {
    pthread_t thread;
    pthread_create(&thread, nullptr, worker, nullptr);
    pthread_join(thread, nullptr);
  } else if (count > 1) {
    int pair[] = {2, 1};
    std::qsort(pair, 2, sizeof pair[0], compare);  // mark:qsort
  } else {
    result = shop::serve(9999, 2);  // mark:main
  }
  asm volatile("" : : : "memory");
  return result == 12345;
}
