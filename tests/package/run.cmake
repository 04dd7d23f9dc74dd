# Builds and runs tests/package/consumer, once against the installed package and once against the source tree.
#   cmake -D SOURCE=... -D BUILD=... -D DEVICE=... -D ARCHITECTURES=... -D LAUNCHER=... -P run.cmake
set(CMAKE_EXECUTE_PROCESS_COMMAND_ERROR_IS_FATAL ANY)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${BUILD}")
set(device -DPLEXUS_DEVICE=${DEVICE})
if(ARCHITECTURES)
  list(APPEND device "-DCMAKE_CUDA_ARCHITECTURES=${ARCHITECTURES}" -DCMAKE_CUDA_RUNTIME_LIBRARY=Shared)
endif()

run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BUILD}/plexus" -G Ninja -DPLEXUS_TESTS=OFF -DPLEXUS_EXAMPLES=OFF
  -DPLEXUS_DEVICE=host)
run("${CMAKE_COMMAND}" --install "${BUILD}/plexus" --prefix "${BUILD}/prefix")

function(build_and_run name)
  run("${CMAKE_COMMAND}" -S "${SOURCE}/tests/package/consumer" -B "${BUILD}/${name}" -G Ninja ${device} ${ARGN})
  run("${CMAKE_COMMAND}" --build "${BUILD}/${name}")
  run(${LAUNCHER} "${BUILD}/${name}/consumer")
endfunction()

build_and_run(from_package "-DCMAKE_PREFIX_PATH=${BUILD}/prefix")
build_and_run(from_source_tree "-DPLEXUS_SOURCE_TREE=${SOURCE}")
