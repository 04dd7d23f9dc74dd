# How this project compiles its own tests, examples and benchmarks: with warnings as errors, in plexus' headers too, and
# with the sanitizers that PLEXUS_SANITIZE names.
if(PLEXUS_RESOLVED_DEVICE STREQUAL cuda)
  enable_language(CUDA)
endif()

set(CMAKE_NO_SYSTEM_FROM_IMPORTED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

set(plexus_warnings -Wall -Wextra -Wshadow -Wconversion -Werror)
list(JOIN plexus_warnings "," plexus_host_warnings)
add_compile_options(
  "$<$<COMPILE_LANGUAGE:CXX>:${plexus_warnings};-Wpedantic>"
  "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:--Werror=all-warnings;-Xcompiler=${plexus_host_warnings}>")

if(PLEXUS_SANITIZE)
  add_compile_options(-fsanitize=${PLEXUS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PLEXUS_SANITIZE})
endif()
