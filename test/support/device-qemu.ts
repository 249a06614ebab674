/**
 * QEMU with the device vhost-user-nvme, as tests see it: there, or a reason why not.
 */
import { locateDeviceQemu } from '../../host/demo/qemu-build.ts';
import { SetupError, silent } from '../../host/demo/setup-error.ts';

/**
 * Why tests with the device cannot run here, for their `skip`; undefined where they can. Where everything is required
 * (DOORBELL_REQUIRE_ALL=1) they run in any case, and fail.
 */
export async function deviceQemuObstacle(): Promise<string | undefined> {
  if (process.env['DOORBELL_REQUIRE_ALL'] === '1') return undefined;
  try {
    await locateDeviceQemu(silent);
    return undefined;
  } catch (error) {
    if (error instanceof SetupError) return error.message;
    throw error;
  }
}
